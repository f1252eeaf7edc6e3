package main

import (
	"bytes"
	"io"
	"os"
	"time"

	"parley/admin"
	"parley/internal/fault"
	"parley/tenants"
)

// keyMaterial is what a key is made of, when it is not the broker that makes it.
type keyMaterial struct {
	SecretFile    string `xor:"material" placeholder:"FILE" help:"File with the shared secret of HS256, at least 32 bytes; - for stdin. A final line break does not count."`
	PublicKeyFile string `xor:"material" placeholder:"FILE" help:"File with a public key, PEM or JWK; - for stdin."`
}

// read reads the file that is given, if any.
func (m keyMaterial) read(c *console) (secret []byte, public string, err error) {
	if m.SecretFile != "" {
		b, err := c.readFile(m.SecretFile)
		if err != nil {
			return nil, "", err
		}
		if secret = bytes.TrimRight(b, "\r\n"); len(secret) == 0 {
			return nil, "", fault.New(fault.InvalidFormat, "The secret is empty.")
		}
	}
	if m.PublicKeyFile != "" {
		b, err := c.readFile(m.PublicKeyFile)
		if err != nil {
			return nil, "", err
		}
		if public = string(b); public == "" {
			return nil, "", fault.New(fault.InvalidFormat, "The public key is empty.")
		}
	}
	return secret, public, nil
}

type keyAddCmd struct {
	remote
	asJSON
	Tenant string `required:"" help:"Id of the tenant."`
	Alg    string `default:"HS256" help:"Algorithm: HS256, ES256, EdDSA or RS256."`
	Kid    string `help:"Key id. Defaults to a fresh one."`
	keyMaterial
	JWKSURL  string        `xor:"material" name:"jwks-url" placeholder:"URL" help:"Where the tenant's identity provider publishes its keys; https."`
	Issuer   string        `help:"What the claim iss must be."`
	Audience string        `help:"What the claim aud must hold."`
	TTL      time.Duration `name:"ttl" help:"How long the key is good for. Defaults to for ever."`
}

// Run prints the key's id. Without a secret, a public key or a URL the broker makes a key that only it can sign with.
func (cmd *keyAddCmd) Run(c *console) error {
	spec := admin.NewKey{Kid: cmd.Kid, Alg: tenants.Alg(cmd.Alg), JWKSURL: cmd.JWKSURL, Issuer: cmd.Issuer, Audience: cmd.Audience}
	var err error
	if spec.Secret, spec.PublicKey, err = cmd.read(c); err != nil {
		return err
	}
	if cmd.TTL != 0 {
		spec.NotAfter = time.Now().Add(cmd.TTL).UTC().Truncate(time.Second)
	}
	return cmd.with(c, func(client *admin.Client) error {
		k, added, err := client.AddKey(c.ctx, cmd.Tenant, spec)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(k)
		}
		if !added {
			c.hint("The key was there already.")
		}
		if k.JWKSURL != "" && k.Issuer == "" && k.Audience == "" {
			c.hint("Any token that this provider signs and that names the tenant is accepted. If others use the provider too,\ntie the key to them that you mean: --issuer, --audience.")
		}
		return c.printLine(k.Kid)
	})
}

// maxFileBytes bounds what is read from a file that a flag names.
const maxFileBytes = 64 << 10

// readFile reads the file that a flag names, or stdin for "-".
func (c *console) readFile(path string) ([]byte, error) {
	in := c.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fault.Wrap(fault.Usage, err, "A file can't be read: %s.", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxFileBytes+1))
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "A file can't be read: %s.", err)
	}
	if len(b) > maxFileBytes {
		return nil, fault.New(fault.Usage, "The file %s is longer than %d bytes.", path, maxFileBytes)
	}
	return b, nil
}
