package rest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"parley/internal/fault"
	"parley/tenants"
)

func TestActor(t *testing.T) {
	token := &tenants.Grant{Tenant: "acme", Account: "A", Agent: "ann"}
	login := &tenants.Grant{Tenant: "acme", Account: "A", Agent: "ann", Login: true}
	for name, tt := range map[string]struct {
		grant *tenants.Grant
		named string
		user  string
		code  fault.Code
	}{
		"a user":                {token, "", "ann", ""},
		"a user by name":        {token, "ann", "ann", ""},
		"a user as another":     {token, "bob", "", fault.PermissionDenied},
		"a login":               {login, "", "", fault.PermissionDenied},
		"a key without a scope": {&tenants.Grant{Tenant: "acme", APIKey: "k"}, "bob", "", fault.PermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			who, err := Actor(tt.grant, tenants.ReadChats, tt.named)
			if fault.CodeOf(err) != tt.code || err == nil && (who.User != tt.user || who.Operator || who.Tenant != "acme" || who.Account != "A") {
				t.Errorf("%+v, %v", who, err)
			}
		})
	}
}

func TestPages(t *testing.T) {
	for query, want := range map[string]Page{
		"": {Limit: 50}, "?offset=7&limit=100": {Offset: 7, Limit: 100}, "?limit=1": {Limit: 1}, "?offset=0": {Limit: 50},
	} {
		if p, err := ReadPage(httptest.NewRequest("GET", "/"+query, nil)); err != nil || p != want {
			t.Errorf("%s: %+v, %v", query, p, err)
		}
	}
	for _, query := range []string{"?limit=0", "?limit=101", "?limit=x", "?limit=1.5", "?offset=-1", "?offset=99999999999", "?offset=1e3"} {
		if p, err := ReadPage(httptest.NewRequest("GET", "/"+query, nil)); fault.CodeOf(err) != fault.InvalidFormat {
			t.Errorf("%s: %+v, %v", query, p, err)
		}
	}
	if p := (Page{Offset: 2, Limit: 2}).Of(5, 2); p != (Page{Total: 5, Offset: 2, Limit: 2, More: true}) {
		t.Errorf("%+v", p)
	}
	if p := (Page{Offset: 4, Limit: 2}).Of(5, 1); p.More {
		t.Errorf("%+v", p)
	}
}

func TestBody(t *testing.T) {
	for body, code := range map[string]fault.Code{
		"": "", " \n": "", "{}": "", `{"a":1}`: "", "[]": fault.InvalidFormat, "x": fault.InvalidFormat, `{"a":1,"a":2}`: fault.InvalidFormat,
		`{"a":"` + strings.Repeat("x", 100) + `"}`: fault.MessageTooLarge,
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Body = http.MaxBytesReader(httptest.NewRecorder(), r.Body, 100)
		if _, err := Body(r); fault.CodeOf(err) != code {
			t.Errorf("%.40q: %v, want %s", body, err, code)
		}
	}
}
