package meet

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"parley/broker"
	"parley/channels"
	"parley/frontends/frame"
	"parley/frontends/rest"
	"parley/internal/fault"
	"parley/rooms"
	"parley/tenants"
)

// tokenLife is how long a room token is good for, which is how long a room is kept that nobody is in.
const tokenLife = 24 * time.Hour

// Refuse answers a request under /api/meet that was not carried out, in the form of /api.
func Refuse(w http.ResponseWriter, err error) { rest.Refuse(w, codeOf(err), err) }

// Create serves POST /api/meet/rooms: it makes a room, and a token with which guests may join it.
func (d *Dialect) Create(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	if err := rest.Need(g, tenants.MeetRooms); err != nil {
		return err
	}
	spec, err := readSpec(r)
	if err != nil {
		return err
	}
	if g.APIKey == "" && !g.MayJoin(spec.ID) {
		return fault.New(fault.PermissionDenied, "The token is not for room %.64q.", spec.ID).
			WithFix("Name a room that its claim rooms allows.")
	}
	info, created, err := d.hub.Create(r.Context(), principal(g), spec)
	if err != nil {
		return err
	}
	expires := time.Now().Add(tokenLife)
	token, err := d.registry.IssueToken(r.Context(), tenants.TokenSpec{
		Tenant: g.Tenant, User: broker.Token(info.ID), Guest: true, Rooms: []string{info.ID}, TTL: tokenLife,
	})
	if err != nil {
		return unsigned(g, err)
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	rest.Reply(w, status, madeRoom{info.ID, joinURL(r, info.ID, token), token, channels.FormatTime(expires), info.Name, info.Max})
	return nil
}

// readSpec reads what room is wanted.
func readSpec(r *http.Request) (spec rooms.Spec, err error) {
	fields, err := rest.Body(r)
	if err != nil {
		return spec, err
	}
	if spec.ID, err = fields.Optional("room_id"); err != nil {
		return spec, err
	}
	spec.ID = cmp.Or(spec.ID, uuid.Must(uuid.NewV7()).String())
	if _, err := broker.ParseToken(spec.ID); err != nil {
		return spec, err
	}
	if spec.Name, err = fields.Optional("name"); err != nil {
		return spec, err
	}
	spec.Max, err = number(fields, "max_participants")
	return spec, err
}

func number(fields frame.Fields, name string) (int, error) {
	m, ok := fields.Get(name)
	if !ok {
		return 0, nil
	}
	n, err := strconv.Atoi(string(m.Value))
	if err != nil || n <= 0 {
		return 0, fault.New(fault.InvalidFormat, "%q is not a number of participants.", name)
	}
	return n, nil
}

// unsigned explains why there is no token for a room that was made.
func unsigned(g *tenants.Grant, err error) error {
	if fault.CodeOf(err) == fault.NotFound {
		return fault.Wrap(fault.Unavailable, err, "The tenant has no key with which the broker could sign a room token.").
			WithFix("Its administrator adds one: parley key add --tenant %s", g.Tenant)
	}
	return err
}

// joinURL is where a person with a browser joins. The token stands behind the #, which browsers tell no server.
func joinURL(r *http.Request, room, token string) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	at := url.URL{Scheme: scheme, Host: r.Host, Path: "/meet"}
	return at.String() + "#" + url.Values{"room": {room}, "token": {token}}.Encode()
}

// Participants serves GET /api/meet/rooms/{id}/participants.
func (d *Dialect) Participants(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	room := r.PathValue("id")
	switch {
	case g.APIKey != "":
		if err := rest.Need(g, tenants.MeetRooms); err != nil {
			return err
		}
	case !g.MayJoin(room):
		return fault.New(fault.PermissionDenied, "The token is not for room %.64q.", room)
	}
	info, err := d.hub.Info(r.Context(), principal(g), room)
	if err != nil {
		return err
	}
	people := make([]person, len(info.Participants))
	for i, p := range info.Participants {
		people[i] = personOf(p)
	}
	rest.Reply(w, http.StatusOK, roomPeople{info.ID, info.Name, info.Max, people})
	return nil
}

func principal(g *tenants.Grant) rooms.Principal {
	return rooms.Principal{Tenant: g.Tenant, Account: g.Account}
}
