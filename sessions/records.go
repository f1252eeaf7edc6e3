package sessions

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
	"parley/internal/fault"
)

// The keys of the tenant's bucket. Users' names are hashed: they may hold anything, and are nobody's business who lists
// keys.
const (
	recordPrefix = "s." // + session: its Info
	userPrefix   = "u." // + user + "." + session: the same
	knownPrefix  = "k." // + user: has been seen
	queuePrefix  = "q." // + session: waits for a human
)

const (
	maxUserBytes     = 128
	maxTitleBytes    = 512
	maxMetadataBytes = 16 << 10
	defaultQueue     = "ai"
)

// check refuses a principal that names nobody.
func (p Principal) check() error {
	if p.Operator && p.User == "" {
		return nil
	}
	return checkUser(p.User)
}

func checkUser(user string) error {
	if user == "" || len(user) > maxUserBytes || !utf8.ValidString(user) || strings.ContainsFunc(user, unicode.IsControl) {
		return fault.New(fault.InvalidID, "A user is 1 to %d printable bytes.", maxUserBytes)
	}
	return nil
}

// mayUse reports whether the principal may know of a session.
func (p Principal) mayUse(info Info) bool { return p.Operator || p.User == info.User }

func userKey(user string) string {
	sum := sha256.Sum256([]byte(user))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// DefaultID returns the id of the one session that a user has when nobody names one. Ids that continue it with a hyphen
// are nobody else's either: sessions that follow it when it was closed.
func DefaultID(user string) string { return defaultPrefix + userKey(user) }

const defaultPrefix = "chat-"

// Create makes a session, or returns the one that the same user made before under that ID: created tells which. Errors
// are fault.InvalidID, InvalidFormat, and NotFound when the ID is taken by somebody else.
func (h *Hub) Create(ctx context.Context, p Principal, spec Spec) (info Info, created bool, err error) {
	if info, err = spec.info(p); err != nil {
		return Info{}, false, err
	}
	s, sid, err := h.enter(ctx, p, info.ID)
	if err != nil {
		return Info{}, false, err
	}
	value, err := json.Marshal(info)
	if err != nil {
		return Info{}, false, err
	}
	switch _, err = s.records.Create(ctx, recordPrefix+info.ID, value); {
	case errors.Is(err, jetstream.ErrKeyExists):
		if info, err = s.info(ctx, sid); err != nil || !p.mayUse(info) {
			return Info{}, false, cmp.Or(err, noSession(spec.ID))
		}
		return info, false, s.relist(ctx, info)
	case err != nil:
		return Info{}, false, unreachable(err)
	}
	if _, err := s.records.Put(ctx, listKey(info), value); err != nil {
		return Info{}, false, unreachable(err)
	}
	return info, true, h.engine.Sync()
}

// relist sees to it that a session is in its user's list: whoever made it may have died before that.
func (s *space) relist(ctx context.Context, info Info) error {
	value, err := json.Marshal(info)
	if err != nil {
		return err
	}
	switch _, err = s.records.Create(ctx, listKey(info), value); {
	case errors.Is(err, jetstream.ErrKeyExists):
		return nil
	case err != nil:
		return unreachable(err)
	}
	_, err = s.info(ctx, broker.Token(info.ID))
	if fault.CodeOf(err) == fault.NotFound { // deleted meanwhile, which is why it was not in the list
		return cmp.Or(s.records.Delete(ctx, listKey(info)), err)
	}
	return err
}

// listKey is where a session stands in its user's list.
func listKey(info Info) string { return userPrefix + userKey(info.User) + "." + info.ID }

// info checks what is asked for and adds what was left out.
func (spec Spec) info(p Principal) (Info, error) {
	info := Info{ID: spec.ID, User: spec.User, Bot: spec.Bot, Title: spec.Title, Metadata: spec.Metadata, Created: time.Now().UTC().Truncate(time.Millisecond)}
	if info.ID == "" {
		info.ID = uuid.Must(uuid.NewV7()).String()
	}
	if info.User == "" {
		info.User = p.User
	}
	if info.User != p.User && !p.Operator {
		return info, fault.New(fault.PermissionDenied, "A user makes sessions for himself only.")
	}
	if err := checkUser(info.User); err != nil {
		return info, err
	}
	if own := DefaultID(info.User); strings.HasPrefix(info.ID, defaultPrefix) && info.ID != own && !strings.HasPrefix(info.ID, own+"-") {
		return info, fault.New(fault.InvalidID, "Ids that begin with %q are given by the broker.", defaultPrefix)
	}
	if info.Bot != "" {
		if _, err := broker.ParseToken(info.Bot); err != nil {
			return info, err
		}
	}
	if len(info.Title) > maxTitleBytes || !utf8.ValidString(info.Title) {
		return info, fault.New(fault.InvalidFormat, "A title has at most %d bytes.", maxTitleBytes)
	}
	return info, checkMetadata(info.Metadata)
}

// checkMetadata refuses what is no object. That it is JSON has been checked where it came in.
func checkMetadata(m json.RawMessage) error {
	if len(m) > maxMetadataBytes || len(m) > 0 && m[0] != '{' {
		return fault.New(fault.InvalidFormat, "The metadata is an object of at most %d bytes.", maxMetadataBytes)
	}
	return nil
}

// queue is where the session's requests wait for a worker.
func (i Info) queue() broker.Token {
	if i.Bot == "" {
		return defaultQueue
	}
	return broker.Token(i.Bot)
}

// info reads what is known of a session.
func (s *space) info(ctx context.Context, id broker.Token) (info Info, err error) {
	value, err := s.record(ctx, recordPrefix+string(id))
	if err != nil {
		return info, err
	}
	if value == nil {
		return info, noSession(string(id))
	}
	return info, json.Unmarshal(value, &info)
}

// Info returns a session of the principal's, or fault.NotFound.
func (h *Hub) Info(ctx context.Context, p Principal, id string) (Overview, error) {
	s, sid, err := h.enter(ctx, p, id)
	if err != nil {
		return Overview{}, err
	}
	info, err := s.info(ctx, sid)
	if err != nil {
		return Overview{}, err
	}
	if !p.mayUse(info) {
		return Overview{}, noSession(id)
	}
	return s.overview(ctx, info)
}

func (s *space) overview(ctx context.Context, info Info) (Overview, error) {
	f, err := s.load(ctx, broker.Token(info.ID))
	if f.time.IsZero() {
		f.time = info.Created
	}
	return Overview{Info: info, State: f.state, Index: f.index, Changed: f.time}, err
}

// List returns the sessions of a user, the newest first, and how many there are in all. "" as user means those of all,
// which only operators may ask for.
func (h *Hub) List(ctx context.Context, p Principal, user string, offset, limit int) (page []Overview, total int, err error) {
	if err := p.check(); err != nil {
		return nil, 0, err
	}
	if !p.Operator && p.User != user {
		return nil, 0, fault.New(fault.PermissionDenied, "A user sees only sessions of his own.")
	}
	s, err := h.spaces.Acquire(ctx, p.Account)
	if err != nil {
		return nil, 0, err
	}
	keys := recordPrefix + "*"
	if user != "" {
		keys = userPrefix + userKey(user) + ".*"
	}
	all, err := s.infos(ctx, keys)
	if err != nil {
		return nil, 0, err
	}
	slices.SortFunc(all, func(a, b Info) int {
		if c := b.Created.Compare(a.Created); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
	first := min(max(offset, 0), len(all))
	for _, info := range all[first:min(first+max(limit, 0), len(all))] {
		o, err := s.overview(ctx, info)
		if err != nil {
			return nil, 0, err
		}
		page = append(page, o)
	}
	return page, len(all), nil
}

// infos reads all records whose keys match.
func (s *space) infos(ctx context.Context, keys string) (all []Info, err error) {
	var damaged error
	err = broker.Present(ctx, s.records, keys, func(entry jetstream.KeyValueEntry) {
		var info Info
		if err := json.Unmarshal(entry.Value(), &info); err != nil {
			damaged = err
		}
		all = append(all, info)
	})
	if err != nil {
		return nil, unreachable(err)
	}
	return all, damaged
}

// Known reports whether the tenant has had a session of this user before, and remembers that it has.
func (h *Hub) Known(ctx context.Context, p Principal) (bool, error) {
	if err := checkUser(p.User); err != nil {
		return false, err
	}
	s, err := h.spaces.Acquire(ctx, p.Account)
	if err != nil {
		return false, err
	}
	_, err = s.records.Create(ctx, knownPrefix+userKey(p.User), nil)
	if errors.Is(err, jetstream.ErrKeyExists) {
		return true, nil
	}
	if err != nil {
		return false, unreachable(err)
	}
	return false, nil
}

func unreachable(err error) error {
	return broker.Unwritten(err, "The tenant's store can't be reached now.")
}
