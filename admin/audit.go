package admin

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"parley/broker"
	"parley/internal/fault"
	"parley/tenants"
)

// Phase is what an entry of the audit log says about an act.
type Phase string

// The phases.
const (
	Attempt Phase = "attempt" // written before anything was done
	Outcome Phase = "outcome" // written when it was done, or refused
)

// AuditEntry is one entry of the audit log. An act has two, with the same ID; one whose outcome is missing is under way,
// or its node died, and nobody knows how far it came. No entry holds a secret or a body.
type AuditEntry struct {
	Seq       uint64     `json:"seq"`               // of the entry; grows
	ID        string     `json:"id"`                // of the act
	Phase     Phase      `json:"phase"`             // before the act, or after it
	Time      time.Time  `json:"time"`              // of the entry
	Node      string     `json:"node"`              // that was asked
	Key       string     `json:"key"`               // name of the admin key; root is the one in the data directory
	Person    string     `json:"person,omitempty"`  // who it was, in the words of the client: not proven
	Address   string     `json:"address"`           // where the request came from
	Operation string     `json:"operation"`         // as in the OpenAPI description
	Method    string     `json:"method"`            // of the request
	Path      string     `json:"path"`              // of the request, which names what was acted on
	Tenant    tenants.ID `json:"tenant,omitempty"`  // absent for acts on the broker
	Code      fault.Code `json:"code,omitempty"`    // Outcome: why it was refused; absent when it was done
	Took      float64    `json:"seconds,omitempty"` // Outcome: since the attempt
}

// Audit is a part of the audit log, oldest first.
type Audit struct {
	Entries []AuditEntry `json:"entries"` // at most as many as were asked for
	Last    uint64       `json:"last"`    // the sequence to go on from
	More    bool         `json:"more"`    // whether there are entries behind Last
}

// Journal is where the audit log is kept. Append returns nil when the entry survives a power cut; both may be called
// concurrently.
type Journal interface {
	Append(ctx context.Context, topic broker.Name, id string, entry []byte) error
	Read(ctx context.Context, topic broker.Name, from uint64, since time.Time, limit int) (entries []broker.Stored, more bool, err error)
}

var _ Journal = (*broker.Journal)(nil)

// PersonHeader is where a client says who sits at the terminal.
const PersonHeader = "Parley-Person"

const (
	maxPersonBytes = 128
	maxPathBytes   = 512
	outcomeWithin  = 10 * time.Second
)

// MaxAudit is how many entries a request lists at most.
const MaxAudit = 500

// record has an act written down before it is done, and how it ended afterwards. What can't be written down is refused.
func (s *Server) record(rt route, who caller, w http.ResponseWriter, r *http.Request) error {
	entry, err := s.entry(rt, who, w, r)
	if err != nil {
		return err
	}
	if err := s.append(r.Context(), entry); err != nil {
		return fault.Wrap(fault.Unavailable, err, "Nothing was done, since it can't be written to the audit log now.")
	}
	failed := who.may(rt, r) // who may not has tried to, which is worth knowing
	if failed == nil {
		failed = s.serve(rt, who, w, r)
	}
	// The answer is complete only when the handler returns: who has it finds the outcome in the log.
	entry.Took = time.Since(entry.Time).Seconds()
	entry.Phase, entry.Time, entry.Code = Outcome, time.Now().UTC(), fault.CodeOf(failed)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), outcomeWithin)
	defer cancel()
	if err := s.append(ctx, entry); err != nil {
		s.log.Error("The outcome of an admin's act is missing in the audit log.", "act", entry.ID, "operation", entry.Operation, "error", err)
	}
	return failed
}

func (s *Server) append(ctx context.Context, e AuditEntry) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return s.cfg.Journal.Append(ctx, topicOf(e.Tenant), e.ID+"."+string(e.Phase), b)
}

// topicOf is under which the entries about a tenant are, or "" for those about the broker.
func topicOf(t tenants.ID) broker.Name {
	if t == "" {
		return "broker"
	}
	return "tenant." + broker.Name(t)
}

// entry is what is known of an act before it is done.
func (s *Server) entry(rt route, who caller, w http.ResponseWriter, r *http.Request) (e AuditEntry, err error) {
	id, err := uuid.NewV7()
	if err != nil {
		return e, fault.Wrap(fault.Internal, err, "make the id of an act")
	}
	e = AuditEntry{
		ID: id.String(), Phase: Attempt, Time: time.Now().UTC(), Node: s.cfg.Node, Key: who.key.Name, Person: who.person,
		Operation: rt.id, Method: r.Method, Path: shortened(r.URL.Path), Address: r.RemoteAddr,
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		e.Address = host
	}
	named := r.PathValue("tenant")
	if named == "" && rt.names != nil {
		named, err = rt.names(w, r)
	}
	if id, bad := tenants.ParseID(named); bad == nil {
		e.Tenant = id
	}
	return e, err
}

func shortened(path string) string {
	return strings.ToValidUTF8(path[:min(len(path), maxPathBytes)], "")
}

// personOf is whom the client claims to act for, "" when it is nothing that can be printed.
func personOf(r *http.Request) string {
	person := r.Header.Get(PersonHeader)
	for _, c := range []byte(person) {
		if c < ' ' || c >= 0x7f {
			return ""
		}
	}
	return person[:min(len(person), maxPersonBytes)]
}

func (s *Server) listAudit(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	after, err := auditNumber(q.Get("after"), "after", 0, 1<<62)
	if err != nil {
		return err
	}
	limit, err := auditNumber(q.Get("limit"), "limit", MaxAudit, MaxAudit)
	if err != nil {
		return err
	}
	var since time.Time
	if text := q.Get("since"); text != "" {
		if since, err = time.Parse(time.RFC3339, text); err != nil {
			return fault.New(fault.InvalidFormat, "since is an RFC 3339 time such as 2027-01-31T12:00:00Z.")
		}
	}
	var topic broker.Name
	if text := q.Get("tenant"); text != "" {
		id, err := tenants.ParseID(text)
		if err != nil {
			return err
		}
		topic = topicOf(id)
	}
	page, err := s.audit(r.Context(), topic, after, since, int(limit))
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, page)
	return nil
}

// audit reads a part of the audit log: behind the sequence after or, when that is 0, from a time on.
func (s *Server) audit(ctx context.Context, topic broker.Name, after uint64, since time.Time, limit int) (Audit, error) {
	page := Audit{Entries: []AuditEntry{}, Last: after}
	from := after
	if after > 0 {
		from, since = after+1, time.Time{}
	}
	found, more, err := s.cfg.Journal.Read(ctx, topic, from, since, limit)
	if err != nil {
		return page, err
	}
	page.More = more
	for _, f := range found {
		var e AuditEntry
		page.Last = f.Seq
		if err := json.Unmarshal(f.Data, &e); err != nil {
			s.log.Error("An entry of the audit log is damaged.", "seq", f.Seq, "error", err)
			continue
		}
		e.Seq = f.Seq
		page.Entries = append(page.Entries, e)
	}
	return page, nil
}

// auditNumber reads a number of the query that is at most highest; without one it is otherwise.
func auditNumber(text, name string, otherwise, highest uint64) (uint64, error) {
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n > highest || name == "limit" && n == 0 {
		return 0, fault.New(fault.InvalidFormat, "%s is a number up to %d.", name, highest)
	}
	return n, nil
}
