package bots

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"parley/broker"
	"parley/channels"
	"parley/frontends/frame"
	"parley/frontends/rest"
	"parley/internal/fault"
	"parley/sessions"
	"parley/tenants"
)

// Refuse answers a request under /api that was not carried out, as this dialect does.
func Refuse(w http.ResponseWriter, err error) { rest.Refuse(w, codeOf(err), err) }

// NoEndpoint answers a request under /api that is for nobody.
func NoEndpoint(w http.ResponseWriter) {
	rest.Refuse(w, fault.NotFound, fault.New(fault.NotFound, "There is no such endpoint."))
}

// Create serves POST /api/sessions.
func (d *Dialect) Create(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	fields, err := rest.Body(r)
	if err != nil {
		return err
	}
	user, err := fields.Optional("user_id")
	if err != nil {
		return err
	}
	who, err := rest.Actor(g, tenants.WriteChats, user)
	if err != nil {
		return err
	}
	if who.Operator {
		return fault.New(fault.InvalidFormat, "The session has no user_id.")
	}
	var spec sessions.Spec
	if spec.Bot, err = botOf(fields); err != nil {
		return err
	}
	if spec.Metadata, err = fields.Object("metadata"); err != nil {
		return err
	}
	info, _, err := d.desk.Hub().Create(r.Context(), who, spec)
	if err != nil {
		return err
	}
	rest.Reply(w, http.StatusCreated, viewOf(sessions.Overview{Info: info, Changed: info.Created}))
	return nil
}

// List serves GET /api/sessions?offset&limit, with an API key also ?user_id.
func (d *Dialect) List(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	who, err := rest.Actor(g, tenants.ReadChats, r.URL.Query().Get("user_id"))
	if err != nil {
		return err
	}
	place, err := rest.ReadPage(r)
	if err != nil {
		return err
	}
	user := who.User
	if who.Operator {
		user = ""
	}
	page, total, err := d.desk.Hub().List(r.Context(), who, user, place.Offset, place.Limit)
	if err != nil {
		return err
	}
	views := make([]session, len(page))
	for i, o := range page {
		views[i] = viewOf(o)
	}
	rest.Reply(w, http.StatusOK, sessionList{views, place.Of(total, len(page))})
	return nil
}

// Session serves GET /api/sessions/{id}.
func (d *Dialect) Session(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	who, err := rest.Actor(g, tenants.ReadChats, "")
	if err != nil {
		return err
	}
	o, err := d.desk.Hub().Info(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return noSession(err)
	}
	rest.Reply(w, http.StatusOK, viewOf(o))
	return nil
}

// Close serves DELETE /api/sessions/{id}: nothing more is said in the session; what was said stays.
func (d *Dialect) Close(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	who, err := rest.Actor(g, tenants.WriteChats, "")
	if err != nil {
		return err
	}
	reason := r.URL.Query().Get("reason")
	if len(reason) > maxReasonBytes || !frame.Printable(reason) {
		return fault.New(fault.InvalidFormat, "A reason is at most %d bytes of printable text.", maxReasonBytes)
	}
	if reason == "" {
		reason = "closed_by_user"
	}
	if err := d.desk.Hub().Close(r.Context(), who, r.PathValue("id"), reason); err != nil {
		return noSession(err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

const maxReasonBytes = 128

// Stop serves POST /api/sessions/{id}/stop: the answer that is being given ends.
func (d *Dialect) Stop(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	who, err := rest.Actor(g, tenants.WriteChats, "")
	if err != nil {
		return err
	}
	if err := d.desk.Hub().Stop(r.Context(), who, r.PathValue("id"), ""); err != nil {
		return noSession(err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// session is a session as REST shows it.
type session struct {
	ID        string         `json:"id"`                // id of the session
	SessionID string         `json:"session_id"`        // the same
	Bot       string         `json:"bot_id"`            // whose workers answer
	User      string         `json:"user_id"`           // whose session it is
	Status    string         `json:"status"`            // active, or closed
	Created   string         `json:"created_at"`        // RFC 3339
	Active    string         `json:"last_activity"`     // when something was last said or done in it, RFC 3339
	Metadata  jsontext.Value `json:"metadata,omitzero"` // whatever its maker has put there
}

// usualBot is the name of the bot of a session that names none.
const usualBot = "ai"

func viewOf(o sessions.Overview) session {
	v := session{
		ID: o.ID, SessionID: o.ID, Bot: o.Bot, User: o.User, Status: "active",
		Created: channels.FormatTime(o.Created), Active: channels.FormatTime(o.Changed), Metadata: jsontext.Value(o.Metadata),
	}
	if v.Bot == "" {
		v.Bot = usualBot
	}
	if o.Changed.Before(o.Created) {
		v.Active = v.Created
	}
	if o.State.Closed {
		v.Status = "closed"
	}
	return v
}

// botOf returns the bot that is to answer, "" for the usual one.
func botOf(fields frame.Fields) (string, error) {
	bot, err := fields.Optional("bot_id")
	if err != nil || bot == "" {
		return "", err
	}
	if _, err := broker.ParseToken(bot); err != nil {
		return "", fault.New(fault.InvalidFormat, "A bot_id is 1 to %d characters of A-Z a-z 0-9 _ and -.", broker.MaxTokenBytes)
	}
	return bot, nil
}
