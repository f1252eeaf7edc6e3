package tenantchat

import (
	"cmp"
	"net/http"

	"parley/frontends/frame"
	"parley/frontends/rest"
	"parley/internal/fault"
	"parley/sessions"
	"parley/tenants"
)

const maxTitleBytes = 256

// actor returns who acts. The user may be named in a header as well as by the request itself.
func actor(r *http.Request, g *tenants.Grant, needs tenants.Scope, named string) (sessions.Principal, error) {
	header := r.Header.Get("X-User-ID")
	if named != "" && header != "" && named != header {
		return sessions.Principal{}, fault.New(fault.PermissionDenied, "The request is not about the user of its X-User-ID header.")
	}
	if named == "" {
		named = header
	}
	return rest.Actor(g, needs, named)
}

// Create serves POST /api/v1/chats/.
func (d *Dialect) Create(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	fields, err := rest.Body(r)
	if err != nil {
		return err
	}
	user, err := fields.Optional("user_id")
	if err != nil {
		return err
	}
	who, err := actor(r, g, tenants.WriteChats, user)
	if err != nil {
		return err
	}
	if who.Operator {
		return fault.New(fault.InvalidFormat, "The chat has no user_id.").WithFix("Say whose chat it is: user_id in the body.")
	}
	spec, err := readSpec(fields)
	if err != nil {
		return err
	}
	info, _, err := d.desk.Hub().Create(r.Context(), who, spec)
	if err != nil {
		return err
	}
	rest.Reply(w, http.StatusCreated, chatView(g.Tenant, sessions.Overview{Info: info, Changed: info.Created}))
	return nil
}

func readSpec(fields frame.Fields) (s sessions.Spec, err error) {
	if s.Title, err = fields.Optional("title"); err != nil {
		return s, err
	}
	if len(s.Title) > maxTitleBytes || !frame.Printable(s.Title) {
		return s, fault.New(fault.InvalidFormat, "A title is at most %d bytes of printable text.", maxTitleBytes)
	}
	s.Metadata, err = fields.Object("metadata")
	return s, err
}

// Chat serves GET /api/v1/chats/{id}.
func (d *Dialect) Chat(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	who, err := actor(r, g, tenants.ReadChats, "")
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	o, err := d.desk.Hub().Info(r.Context(), who, id)
	if err != nil {
		return absent(id, err)
	}
	rest.Reply(w, http.StatusOK, chatView(g.Tenant, o))
	return nil
}

// Delete serves DELETE /api/v1/chats/{id}.
func (d *Dialect) Delete(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	who, err := actor(r, g, tenants.WriteChats, "")
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	if err := d.desk.Hub().Delete(r.Context(), who, id); err != nil {
		return absent(id, err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Stop serves POST /api/v1/chats/{id}/stop: the answer that is being given ends.
func (d *Dialect) Stop(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	who, err := actor(r, g, tenants.WriteChats, "")
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	if err := d.desk.Hub().Stop(r.Context(), who, id, ""); err != nil {
		return absent(id, err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Below serves GET /api/v1/chats/user/{user_id} and /api/v1/chats/{id}/messages, whose patterns no router can tell apart.
func (d *Dialect) Below(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	last := cmp.Or(r.PathValue("rest"), "stop") // a user may be called like an endpoint
	switch {
	case r.PathValue("id") == "user":
		return d.list(w, r, g, last)
	case last == "messages":
		return d.messages(w, r, g, r.PathValue("id"))
	}
	return fault.New(fault.NotFound, "There is no such endpoint.")
}

func (d *Dialect) list(w http.ResponseWriter, r *http.Request, g *tenants.Grant, user string) error {
	who, err := actor(r, g, tenants.ReadChats, user)
	if err != nil {
		return err
	}
	place, err := rest.ReadPage(r)
	if err != nil {
		return err
	}
	page, total, err := d.desk.Hub().List(r.Context(), who, user, place.Offset, place.Limit)
	if err != nil {
		return err
	}
	views := make([]chat, len(page))
	for i, o := range page {
		views[i] = chatView(g.Tenant, o)
	}
	rest.Reply(w, http.StatusOK, chatList{views, place.Of(total, len(page))})
	return nil
}

func (d *Dialect) messages(w http.ResponseWriter, r *http.Request, g *tenants.Grant, id string) error {
	who, err := actor(r, g, tenants.ReadChats, "")
	if err != nil {
		return err
	}
	place, err := rest.ReadPage(r)
	if err != nil {
		return err
	}
	order := r.URL.Query().Get("order")
	if order != "" && order != "asc" && order != "desc" {
		return fault.New(fault.InvalidFormat, "order is asc or desc.")
	}
	page, total, err := d.desk.Hub().History(r.Context(), who, id, place.Offset, place.Limit, order == "desc")
	if err != nil {
		return absent(id, err)
	}
	views := make([]entry, len(page))
	for i, e := range page {
		views[i] = entryView(id, e)
	}
	rest.Reply(w, http.StatusOK, entryList{views, place.Of(total, len(page))})
	return nil
}

// absent makes a chat's absence what the document says about it. A chat of somebody else is absent, too, and so is one whose
// id can't be one.
func absent(id string, err error) error {
	switch fault.CodeOf(err) {
	case fault.NotFound, fault.InvalidID:
		return noChat(id, err)
	default:
		return err
	}
}
