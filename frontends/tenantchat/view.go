package tenantchat

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"parley/channels"
	"parley/sessions"
	"parley/tenants"
)

// chat is a chat as REST shows it.
type chat struct {
	ID          string         `json:"id"`                // id of the chat
	User        string         `json:"user_id"`           // whose chat it is
	Tenant      tenants.ID     `json:"tenant_id"`         // id of the tenant
	Title       *string        `json:"title"`             // for people; null when it has none
	Config      config         `json:"config"`            // what it is set to
	Metadata    jsontext.Value `json:"metadata,omitzero"` // whatever its maker has put there
	Status      string         `json:"status"`            // active, or closed
	Messages    int            `json:"message_count"`     // how many messages and answers it has
	Created     string         `json:"created_at"`        // RFC 3339
	Updated     string         `json:"updated_at"`        // when something was last said or done in it, RFC 3339
	LastMessage *string        `json:"last_message_at"`   // the same while it has messages, else null
}

// config is what a chat is set to.
type config struct {
	Bot string `json:"bot_id,omitzero"` // whose workers answer, if they are not the tenant's usual ones
}

func chatView(t tenants.ID, o sessions.Overview) chat {
	c := chat{
		ID: o.ID, User: o.User, Tenant: t, Config: config{o.Bot}, Metadata: jsontext.Value(o.Metadata), Status: "active",
		Messages: o.State.Messages, Created: channels.FormatTime(o.Created), Updated: channels.FormatTime(latest(o.Created, o.Changed)),
	}
	if o.Title != "" {
		c.Title = &o.Title
	}
	if o.State.Closed {
		c.Status = "closed"
	}
	if o.State.Messages > 0 {
		c.LastMessage = &c.Updated
	}
	return c
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// entry is a message or an answer as REST shows it.
type entry struct {
	ID        string          `json:"id"`                           // id of the message
	Chat      string          `json:"chat_id"`                      // id of the chat
	Content   string          `json:"content"`                      // the text
	Role      sessions.Role   `json:"sender_role"`                  // who said it
	Created   string          `json:"created_at"`                   // RFC 3339
	Metadata  jsontext.Value  `json:"metadata,omitzero"`            // whatever its sender has put there
	Status    sessions.Status `json:"status,omitzero"`              // of an answer that is not complete
	FollowUps []string        `json:"follow_up_questions,omitzero"` // questions that the user might ask next
	Index     uint64          `json:"index"`                        // in the log
}

func entryView(chat string, e *sessions.Event) entry {
	v := entry{
		ID: e.ID, Chat: chat, Content: e.Text, Role: e.Role, Created: channels.FormatTime(e.Time),
		Metadata: jsontext.Value(e.Metadata), FollowUps: e.FollowUps, Index: e.Index,
	}
	if e.Kind == sessions.Ended && e.Status != sessions.Complete {
		v.Status = e.Status
	}
	return v
}
