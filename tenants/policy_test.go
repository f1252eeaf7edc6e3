package tenants

import (
	"slices"
	"strings"
	"testing"

	"parley/broker"
	"parley/internal/fault"
)

func TestTheMostParticularPolicyCounts(t *testing.T) {
	all := Policies{}
	for _, pattern := range []string{">", "a.>", "a.*", "*.b", "a.b", "a.*.c", "*"} {
		all = append(all, Policy{Pattern: pattern})
	}
	slices.SortFunc(all, byParticularity)
	for name, want := range map[broker.Name]string{
		"a.b": "a.b", "a.c": "a.*", "a.b.c": "a.*.c", "a.b.d": "a.>", "x.b": "*.b", "x": "*", "x.y": ">",
	} {
		if p := all.For(name); p == nil || p.Pattern != want {
			t.Errorf("%s: %+v, want %s", name, p, want)
		}
	}
	if p := (Policies{{Pattern: "a"}}).For("b"); p != nil || !p.MayPublish("alice") {
		t.Errorf("a channel without a policy has %+v", p)
	}
	if n := testing.AllocsPerRun(100, func() { all.For("a.b.c") }); n != 0 {
		t.Errorf("looking a policy up allocates %v times", n)
	}
}

func TestPoliciesThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		p    Policy
		want fault.Code
	}{
		{Policy{}, fault.InvalidFormat},
		{Policy{Pattern: "a..b"}, fault.InvalidFormat},
		{Policy{Pattern: ">.a"}, fault.InvalidFormat},
		{Policy{Pattern: strings.Repeat("a", broker.MaxNameBytes+1)}, fault.InvalidFormat},
		{Policy{Pattern: "a", MaxAge: -1}, fault.InvalidFormat},
		{Policy{Pattern: "a", Messages: -1}, fault.InvalidFormat},
		{Policy{Pattern: "a", Bytes: -1}, fault.InvalidFormat},
		{Policy{Pattern: "a", Ephemeral: true, Bytes: 1}, fault.InvalidFormat},
		{Policy{Pattern: "a", Ephemeral: true, MaxAge: 1}, fault.InvalidFormat},
		{Policy{Pattern: "a", Ephemeral: true, Messages: 1}, fault.InvalidFormat},
		{Policy{Pattern: "a", Closed: true, Publishers: []broker.Token{"a"}}, fault.InvalidFormat},
		{Policy{Pattern: "a", Publishers: []broker.Token{"a b"}}, fault.InvalidID},
		{Policy{Pattern: "a.>", MaxAge: 1, Messages: 1, Publishers: []broker.Token{"a"}}, ""},
	} {
		if err := c.p.Check(); fault.CodeOf(err) != c.want {
			t.Errorf("%+v: %v, want %s", c.p, err, c.want)
		}
	}
}

func TestPoliciesArePutAndRemoved(t *testing.T) {
	e := mustEngine(t, t.TempDir(), broker.ListenOff)
	r := mustRegistry(t, e)
	mustCreate(t, r, "acme")
	for i, c := range []struct {
		p    Policy
		want bool
	}{
		{Policy{Pattern: "a.>", MaxAge: 60}, true},
		{Policy{Pattern: "a.b", Ephemeral: true}, true},
		{Policy{Pattern: "a.b", Publishers: []broker.Token{"bob"}}, false},
		{Policy{Pattern: "a.b", Publishers: []broker.Token{"bob"}}, false},
	} {
		if added, err := r.PutPolicy(t.Context(), "acme", c.p); err != nil || added != c.want {
			t.Errorf("%d: %t, %v", i, added, err)
		}
	}
	tenant, err := r.Get("acme")
	if err != nil || len(tenant.Policies) != 2 || tenant.Policies[0].Pattern != "a.b" || tenant.Policies[0].Ephemeral {
		t.Fatalf("%+v, %v", tenant.Policies, err)
	}
	if p := tenant.Policies.For("a.b"); p.MayPublish("alice") || !p.MayPublish("bob") || !p.MayPublish("") {
		t.Errorf("%+v lets the wrong ones publish", p)
	}
	if err := r.RemovePolicy(t.Context(), "acme", "a.b"); err != nil {
		t.Error(err)
	}
	if err := r.RemovePolicy(t.Context(), "acme", "a.b"); fault.CodeOf(err) != fault.NotFound {
		t.Error(err)
	}
	if _, err := r.PutPolicy(t.Context(), "nobody", Policy{Pattern: "a"}); fault.CodeOf(err) != fault.NotFound {
		t.Error(err)
	}
}
