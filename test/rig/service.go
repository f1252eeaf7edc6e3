package rig

import (
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
)

// Service is a back-end service: a plain NATS client with a .creds file.
type Service struct {
	*nats.Conn
	t testing.TB
}

// Serve connects to url with the text of a .creds file, which has to work.
func Serve(t testing.TB, url, creds string) *Service {
	t.Helper()
	s, err := TryServe(t, url, creds)
	if err != nil {
		t.Fatalf("connect a service: %v", err)
	}
	return s
}

// TryServe is Serve for credentials that may be refused. The connection ends with the test.
func TryServe(t testing.TB, url, creds string) (*Service, error) {
	t.Helper()
	file := WriteFile(t, "service.creds", []byte(creds))
	// Violations are looked for by the tests that provoke them.
	quiet := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})
	conn, err := nats.Connect(url, nats.UserCredentials(file), nats.CustomInboxPrefix(inboxOf(creds)), nats.Timeout(Patience), quiet,
		nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		return nil, err
	}
	t.Cleanup(conn.Close)
	return &Service{Conn: conn, t: t}, nil
}

// inboxOf returns where whoever has the credentials may take replies: workers have an inbox of their own. Whether the
// credentials are good is for the broker to say.
func inboxOf(creds string) string {
	token, err := jwt.ParseDecoratedJWT([]byte(creds))
	if err != nil {
		return "_INBOX"
	}
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return "_INBOX"
	}
	return nats.InboxPrefix + claims.Name
}

// Listen subscribes and returns once the broker knows of it.
func (s *Service) Listen(subject string) *Inbox {
	s.t.Helper()
	sub, err := s.SubscribeSync(subject)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Sync()
	return &Inbox{Subscription: sub, t: s.t}
}

// Sync returns once the broker has seen everything that was sent before.
func (s *Service) Sync() {
	s.t.Helper()
	if err := s.FlushTimeout(Patience); err != nil {
		s.t.Fatal(err)
	}
}

// Say publishes and returns once the broker has it.
func (s *Service) Say(subject, payload string) {
	s.t.Helper()
	if err := s.Publish(subject, []byte(payload)); err != nil {
		s.t.Fatal(err)
	}
	s.Sync()
}

// Inbox is what a subscription of a Service received.
type Inbox struct {
	*nats.Subscription
	t testing.TB
}

// Next returns the next message.
func (i *Inbox) Next() *nats.Msg {
	i.t.Helper()
	m, err := i.NextMsg(Patience)
	if err != nil {
		i.t.Fatalf("%s: %v", i.Subject, err)
	}
	return m
}

// Received returns what has arrived and was not taken, without waiting.
func (i *Inbox) Received() []*nats.Msg {
	i.t.Helper()
	var all []*nats.Msg
	for {
		m, err := i.NextMsg(time.Nanosecond)
		if err != nil {
			return all
		}
		all = append(all, m)
	}
}
