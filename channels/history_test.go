package channels

import "testing"

func TestWider(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		span  uint64
		had   int
		limit int
		want  uint64
	}{
		"nothing found":            {50, 0, 50, 400},
		"too few to tell":          {400, 2, 50, 3200},
		"a tenth of what is asked": {400, 5, 50, 3200},
		"half of it":               {400, 25, 50, 1200},
		"nearly all of it":         {400, 49, 50, 612},
		"all but one of few":       {4, 3, 4, 7},
	} {
		got := wider(c.span, c.had, c.limit)
		if got != c.want {
			t.Errorf("%s: wider(%d, %d, %d) = %d, want %d", name, c.span, c.had, c.limit, got, c.want)
		}
		if got <= c.span {
			t.Errorf("%s: it does not grow", name)
		}
	}
}
