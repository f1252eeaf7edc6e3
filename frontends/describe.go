package frontends

import (
	_ "embed" // the prose
	"net/http"
	"reflect"

	"github.com/go-json-experiment/json"

	"parley/channels"
	"parley/frontends/agents"
	"parley/frontends/assistant"
	"parley/frontends/bots"
	"parley/frontends/meet"
	"parley/frontends/rest"
	"parley/frontends/tenantchat"
	"parley/internal/openapi"
)

// proseText is what the comments in the source say of the types; TestProse writes it.
//
//go:embed prose.json
var proseText []byte

const aboutREST = `The endpoints for clients that are no WebSocket. A token or an API key, whichever the dialect takes, comes as ` +
	"`Authorization: Bearer KEY`; API keys may come as `X-API-Key`, too. The WebSocket dialects are described in the documentation."

// describe returns what all endpoints are that take a request and answer it: those of WebSockets are not among them.
func describe() openapi.API {
	api := openapi.API{
		Title: "Parley client API", About: aboutREST, Version: "1", Refusal: rest.Problem{}, Prose: openapi.ParseProse(proseText),
		Enums: map[reflect.Type][]string{reflect.TypeFor[channels.Status](): {string(channels.Online), string(channels.Offline), string(channels.Idle), string(channels.Busy)}},
	}
	for _, of := range [][]openapi.Operation{agents.Operations(), assistant.Operations(), tenantchat.Operations(), bots.Operations(), meet.Operations()} {
		api.Operations = append(api.Operations, of...)
	}
	return api
}

// description serves what describe says to anybody: nothing in it is about this installation.
func description() http.HandlerFunc {
	text, err := json.Marshal(openapi.Describe(describe()), json.Deterministic(true))
	if err != nil {
		panic(err) // unreachable: a description always marshals
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		allowOrigins(w.Header())
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(text) // a client that is gone needs no answer
	}
}
