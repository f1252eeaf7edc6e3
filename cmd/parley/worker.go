package main

import (
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"parley/internal/fault"
	"parley/sessions/worker"
)

type workerCmd struct {
	Echo   workerEchoCmd   `cmd:"" help:"Answer by repeating what was said, word by word. For trying things out: it needs no network."`
	OpenAI workerOpenAICmd `cmd:"" name:"openai" help:"Answer by a language model, OpenAI's or of any server that speaks the same."`
}

// workerRun is what all workers have in common.
type workerRun struct {
	NATS        string        `name:"nats" default:"nats://127.0.0.1:4222" placeholder:"URL" help:"Where the broker takes services. Defaults to nats://127.0.0.1:4222."`
	Creds       []string      `required:"" sep:"none" placeholder:"FILE" help:"Credentials of a tenant, from: parley creds issue --role worker. Repeated, the worker serves all these tenants, and is fair to them."`
	Queue       string        `default:"ai" placeholder:"NAME" help:"Whose requests to take; the credentials are for one queue. Defaults to ai."`
	Concurrency int           `default:"16" help:"How many answers to give at a time. Defaults to 16."`
	Name        string        `placeholder:"NAME" help:"What the worker is called in the sessions' logs. Defaults to the kind of worker."`
	Grace       time.Duration `default:"10s" help:"How long running answers may go on when the worker is told to stop; then other workers take them over. Defaults to 10s."`

	traceFlags

	LogLevel  string `enum:"debug,info,warn,error" default:"info" help:"Least severe level that is logged: ${enum}. Defaults to info."`
	LogFormat string `enum:"text,json" default:"text" help:"Form of the log on stderr: ${enum}. Defaults to text."`
}

// logger returns the log that the flags ask for.
func (cmd workerRun) logger(c *console) *slog.Logger {
	log, _ := settings{LogLevel: cmd.LogLevel, LogFormat: cmd.LogFormat}.logger(c.stderr)
	return log
}

// run takes requests until the program is told to stop. cfg has what is special about the worker.
func (cmd workerRun) run(c *console, log *slog.Logger, cfg worker.Config, h worker.Handler) error {
	cfg.Queue, cfg.Concurrency, cfg.Grace, cfg.Log = cmd.Queue, cmd.Concurrency, cmd.Grace, log
	if cmd.Name != "" {
		cfg.Name = cmd.Name
	}
	if cfg.Grace == 0 {
		cfg.Grace = -1
	}
	defer func() {
		for _, nc := range cfg.Conns {
			nc.Close()
		}
	}()
	for _, creds := range cmd.Creds {
		nc, err := cmd.connect(log, creds)
		if err != nil {
			return err
		}
		cfg.Conns = append(cfg.Conns, nc)
	}
	traces, endTraces, err := cmd.open(c.ctx, "parley-worker", cfg.Name, log)
	if err != nil {
		return err
	}
	defer endTraces()
	if traces != nil {
		cfg.Traces = traces
	}
	log.Info("taking requests", "queue", cfg.Queue, "tenants", len(cfg.Conns), "concurrency", cfg.Concurrency)
	err = worker.Run(c.ctx, cfg, h)
	if err == nil {
		log.Info("stopped")
	}
	return err
}

// connect connects to one tenant. A broker that is away is waited for; one that refuses the credentials is not.
func (cmd workerRun) connect(log *slog.Logger, creds string) (*nats.Conn, error) {
	log = log.With("creds", creds)
	if _, err := worker.InboxPrefix(creds); err != nil {
		return nil, fault.Wrap(fault.Usage, err, "The credentials %s can't be used: %s.", creds, err).
			WithFix("Make some with: parley creds issue --tenant ID --name NAME --role worker")
	}
	options := []nats.Option{
		nats.Name("parley worker"),
		nats.ConnectHandler(func(*nats.Conn) { log.Info("connected") }),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("connected again") }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("the connection is lost", "error", err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Error("the broker complains", "error", err) }),
	}
	nc, err := worker.Connect(cmd.NATS, creds, options...)
	switch {
	case err == nil:
		return nc, nil
	case errors.Is(err, nats.ErrNoServers):
		log.Warn("the broker is not there yet; waiting for it", "nats", cmd.NATS)
		return worker.Connect(cmd.NATS, creds, append(options, nats.RetryOnFailedConnect(true))...)
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAccountAuthExpired):
		return nil, fault.Wrap(fault.AuthFailed, err, "The broker at %s refuses the credentials %s.", cmd.NATS, creds)
	}
	return nil, fault.Wrap(fault.Unavailable, err, "The broker at %s can't be reached: %s.", cmd.NATS, err)
}
