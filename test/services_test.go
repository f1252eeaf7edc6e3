package test

import (
	"encoding/base64"
	"reflect"
	"strings"
	"testing"

	"parley/test/rig"
)

func TestServiceSpeaksToAgents(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	alice := acme.agent("alice", "general")
	service := acme.service("backend")
	for _, c := range []struct {
		name, payload string
		want          rig.Frame // the fields that matter
	}{
		{"raw text", "hello", rig.Frame{"type": "message", "content": "hello"}},
		{"text that is nearly JSON", `{"type":`, rig.Frame{"type": "message", "content": `{"type":`}},
		{"empty", "", rig.Frame{"type": "message", "content": ""}},
		{"JSON string", `"hi"`, rig.Frame{"type": "message", "content": "hi"}},
		{"JSON number", `42`, rig.Frame{"type": "message", "content": 42.0}},
		{"JSON array", `[1,2]`, rig.Frame{"type": "message", "content": []any{1.0, 2.0}}},
		{"JSON object", `{"temperature":21}`, rig.Frame{"type": "message", "content": map[string]any{"temperature": 21.0}}},
		{"envelope", `{"id":"s-1","type":"alert","content":"fire","metadata":{"floor":3}}`, rig.Frame{"id": "s-1", "type": "alert", "content": "fire", "metadata": map[string]any{"floor": 3.0}}},
		{"envelope that lies", `{"type":"message","content":"x","tenant_id":"evil","channel_id":"other","seq":99999}`, rig.Frame{"type": "message", "content": "x", "tenant_id": "acme", "channel_id": "general"}},
	} {
		service.Say("channel.general", c.payload)
		got := alice.Message()
		got.Time(t)
		if got.ID() == "" || got.Seq() == 0 || got.Seq() == 99999 || got.Text("tenant_id") != "acme" || got.Text("channel_id") != "general" {
			t.Errorf("%s: an agent received %s", c.name, got)
		}
		for field, want := range c.want {
			if !reflect.DeepEqual(got[field], want) {
				t.Errorf("%s: %s is %#v, want %#v", c.name, field, got[field], want)
			}
		}
	}
}

func TestServiceSendsBytes(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	alice := acme.agent("alice", "general")
	payload := "\xff\x00\xfe binary"
	acme.service("backend").Say("channel.general", payload)
	got := alice.Message()
	content, err := base64.StdEncoding.DecodeString(got.Text("content"))
	if err != nil || string(content) != payload || got.Text("encoding") != "base64" {
		t.Errorf("received %s (%v)", got, err)
	}
}

func TestServiceHearsAgents(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	service := acme.service("backend")
	channel, inbox := service.Listen("channel.general"), service.Listen("agent.bob")
	alice := acme.agent("alice", "general")
	id, _ := alice.Publish(map[string]any{"n": 1.0})
	got := frameOf(t, channel.Next().Data)
	if got.ID() != id || got.Text("agent_id") != "alice" || !reflect.DeepEqual(got["content"], map[string]any{"n": 1.0}) {
		t.Errorf("the service received %s", got)
	}
	id, _ = alice.PublishFrame(rig.Frame{"type": "message", "target": "bob", "content": "psst"})
	if got := frameOf(t, inbox.Next().Data); got.ID() != id || got["content"] != "psst" {
		t.Errorf("the service received %s", got)
	}
}

func TestServiceWritesToAnInbox(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	service := acme.service("backend")
	service.Say("agent.bob", "first, while bob is away")
	bob := acme.agent("bob", "")
	service.Say("agent.bob", "second")
	if got, want := contents(bob.Messages(2)), []any{"first, while bob is away", "second"}; !reflect.DeepEqual(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
}

func TestServicePublishesOutsideTheGrammar(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	alice := acme.agent("alice", "general")
	service := acme.service("backend")
	for _, subject := range []string{"channel.a b", "channel.ünï", "channel.$JS", "channel." + strings.Repeat("x", 200), "agent.a.b", "agent.$SYS"} {
		// The client library refuses some of them; whatever gets through must do no harm.
		_ = service.Publish(subject, []byte("odd"))
	}
	service.Sync()
	service.Say("channel.general", "still here")
	if got := alice.Message(); got["content"] != "still here" {
		t.Errorf("received %s", got)
	}
}

func TestServiceIsHeldToItsSubjects(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	alice := acme.agent("alice", "general")
	service := acme.service("reader", "--sub", "channel.general")
	heard := service.Listen("channel.general")
	_ = service.Publish("channel.general", []byte("not allowed"))
	_ = service.Publish("agent.alice", []byte("not allowed"))
	service.Sync()
	alice.Publish("allowed")
	if got := alice.Message(); got["content"] != "allowed" {
		t.Errorf("received %s", got)
	}
	if got := frameOf(t, heard.Next().Data); got["content"] != "allowed" {
		t.Errorf("the service received %s", got)
	}
	for _, subject := range []string{">", "*", "$JS.API.>", "$SYS.>", "_GW.>", "$KV.>", "foo.>", "channel", "channel.a b", "live.x"} {
		r := acme.CLI("creds", "issue", "--tenant", "acme", "--name", "greedy", "--pub", subject)
		if r.Code == 0 || r.Stdout != "" || r.Stderr == "" {
			t.Errorf("creds that may publish on %q: exit %d\n%s%s", subject, r.Code, r.Stdout, r.Stderr)
		}
	}
}
