package hashedkey

import (
	"strings"
	"testing"
)

func TestKeysFitTheirSums(t *testing.T) {
	text, sum := New("mark_a_b")
	prefix, ok := Prefix(text)
	if !ok || prefix != "mark_a_b" || len(text) != len(prefix)+1+2*secretBytes {
		t.Errorf("%q: prefix %q, %t", text, prefix, ok)
	}
	other, _ := New("mark_a_b")
	if !sum.Fits(text) || sum != Of(text) || other == text {
		t.Error("a key does not fit its sum")
	}
	for _, wrong := range []string{"", "x", prefix, text[:len(text)-1], text + "0", strings.ToUpper(text), other} {
		if sum.Fits(wrong) || (Sum{}).Fits(wrong) {
			t.Errorf("%q fits", wrong)
		}
	}
	if _, ok := Prefix("nothing"); ok {
		t.Error("a text without a separator has a prefix")
	}
}
