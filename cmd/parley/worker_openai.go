package main

import (
	"os"
	"strings"
	"time"

	"parley/internal/fault"
	"parley/sessions/worker"
	"parley/sessions/worker/openai"
)

type workerOpenAICmd struct {
	workerRun
	BaseURL    string        `name:"base-url" placeholder:"URL" help:"Where the API is, with its version, such as http://127.0.0.1:11434/v1. Defaults to OpenAI's."`
	Model      string        `required:"" placeholder:"NAME" help:"Which model answers, as its server calls it."`
	KeyFile    string        `placeholder:"FILE" help:"File with the API key; the key itself may stand in $OPENAI_API_KEY. Servers of your own may need none."`
	System     string        `placeholder:"TEXT" xor:"system" help:"Instructions for the model."`
	SystemFile string        `placeholder:"FILE" xor:"system" help:"File with instructions for the model."`
	Tools      string        `placeholder:"FILE" help:"YAML list of tools that the model may use: name, description, parameters (a JSON Schema), subject, timeout. The worker's credentials need --pub for the subjects."`
	Stall      time.Duration `default:"60s" help:"How long the model's server may send nothing before the answer counts as broken. Defaults to 60s."`
	Retries    int           `default:"3" help:"How often a request is made again that the server refuses for now. Defaults to 3."`
}

// Help says what tools look like.
func (workerOpenAICmd) Help() string {
	return `A tool is a service of the tenant that answers NATS requests. In the file of --tools:

    [{
      name: weather,
      description: What the weather is like somewhere.,
      subject: tool.weather,
      parameters: {type: object, properties: {city: {type: string}}, required: [city]},
    }]

The service is asked {"tool","call_id","arguments","session","run","user","claims"} and replies with JSON or text.`
}

// Run answers until it is told to stop.
func (cmd *workerOpenAICmd) Run(c *console) error {
	log := cmd.logger(c)
	cfg := openai.Config{
		BaseURL: cmd.BaseURL, Key: c.getenv("OPENAI_API_KEY"), Model: cmd.Model, System: cmd.System, Stall: cmd.Stall, Retries: cmd.Retries, Log: log,
	}
	if cfg.Retries == 0 {
		cfg.Retries = -1
	}
	if err := cmd.readFiles(&cfg); err != nil {
		return err
	}
	if cfg.Key == "" && cfg.BaseURL == "" {
		return fault.New(fault.Usage, "OpenAI wants an API key.").WithFix("Give it in $OPENAI_API_KEY or with --key-file FILE, or name another server with --base-url.")
	}
	model, err := openai.New(cfg)
	if err != nil {
		return fault.Wrap(fault.Usage, err, "The model can't be asked like that: %s.", err)
	}
	defer model.Close()
	return cmd.run(c, log, worker.Config{Name: "openai"}, model.Answer)
}

// readFiles adds what stands in files.
func (cmd *workerOpenAICmd) readFiles(cfg *openai.Config) error {
	for _, file := range []struct {
		path string
		take func(text string) error
	}{
		{cmd.KeyFile, func(text string) error { cfg.Key = strings.TrimSpace(text); return nil }},
		{cmd.SystemFile, func(text string) error { cfg.System = text; return nil }},
		{cmd.Tools, func(text string) (err error) {
			cfg.Tools, err = openai.ReadTools(strings.NewReader(text))
			return err
		}},
	} {
		if file.path == "" {
			continue
		}
		text, err := os.ReadFile(file.path)
		if err == nil {
			err = file.take(string(text))
		}
		if err != nil {
			return fault.Wrap(fault.Usage, err, "The file %s can't be used: %s.", file.path, err)
		}
	}
	return nil
}
