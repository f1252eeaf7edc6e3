package main

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"parley/admin"
	"parley/internal/fault"
	"parley/tenants"
)

type tokenInspectCmd struct {
	remote
	asJSON
	Token string `arg:"" optional:"" default:"-" help:"The token; - or nothing reads it from stdin, where other users of the machine can't see it."`
}

// Run prints what the token holds and how its verification went. A token that is refused is an error.
func (cmd *tokenInspectCmd) Run(c *console) error {
	if cmd.Token == "-" {
		b, err := c.readFile("-")
		if err != nil {
			return err
		}
		cmd.Token = strings.TrimSpace(string(b))
	}
	return cmd.with(c, func(client *admin.Client) error {
		report, err := client.InspectToken(c.ctx, cmd.Token)
		if err != nil {
			return err
		}
		if err := cmd.print(c, report); err != nil || report.Valid {
			return err
		}
		return fault.New(report.Code, "%s", report.Message)
	})
}

func (cmd *tokenInspectCmd) print(c *console, report tenants.Report) error {
	if cmd.JSON {
		return c.printJSON(report)
	}
	rows := [][]string{}
	for _, part := range []struct {
		name  string
		value jsontext.Value
	}{{"Header", report.Header}, {"Claims", report.Claims}} {
		if part.value != nil {
			rows = append(rows, []string{part.name + ":", string(part.value)})
		}
	}
	for _, step := range report.Steps {
		rows = append(rows, []string{"Passed:", step.Name + ": " + step.Found})
	}
	if report.Valid {
		rows = append(rows, []string{"Verdict:", "good"})
	} else {
		rows = append(rows, []string{"Verdict:", "refused: " + report.Message})
	}
	if report.Reason != "" {
		rows = append(rows, []string{"Reason:", report.Reason})
	}
	return c.table(rows...)
}
