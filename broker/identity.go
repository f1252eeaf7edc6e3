package broker

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"parley/internal/fault"
)

// AccountID names one tenant's NATS account. It is random and never used twice, so that credentials of a deleted tenant
// stay worthless when a tenant of the same name is made again.
type AccountID string

// NewAccountID returns a fresh id.
func NewAccountID() AccountID { return AccountID(uuid.NewString()) }

// The accounts that are not a tenant's: the server's own, and the one that holds the broker's registry.
const (
	systemAccount AccountID = "system"
	brokerAccount AccountID = "broker"
)

// identity is the operator: the root of trust of the server. All account keys are derived from its seed (HKDF-SHA256,
// RFC 5869), so one secret file is all there is to protect, back up and give to the other nodes of a cluster.
type identity struct {
	operator nkeys.KeyPair
	seed     []byte
	claims   *jwt.OperatorClaims
}

// openIdentity reads the operator's seed. A fresh directory gets the one in seedFile, or a new one when that is "". A
// directory that holds messages but no seed is damaged: a new operator could never open its accounts. Nor could one whom
// external servers do not know yet.
func openIdentity(d *dataDir, seedFile string, external bool) (*identity, error) {
	name := filepath.Join(d.secrets(), "operator.seed")
	seed, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(d.store()); err == nil {
			return nil, damaged(name, "it is missing although the directory holds messages")
		}
		if seedFile != "" {
			return importIdentity(name, seedFile)
		}
		if external {
			return nil, fault.New(fault.Usage, "The data directory %s holds no operator's seed that the NATS servers could trust.", d.path).
				WithFix("Make one, and the configuration of the servers, with: parley nats config --data %s\nOr give the seed of the operator that they trust with --operator-seed-file.", d.path)
		}
		return newIdentity(name)
	}
	if err != nil {
		return nil, unusable(d.path, err)
	}
	id, err := parseIdentity(bytes.TrimSpace(seed))
	if err != nil {
		return nil, damaged(name, err.Error())
	}
	if seedFile != "" {
		given, err := readSeed(seedFile)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(given.seed, id.seed) {
			return nil, fault.New(fault.Usage, "The operator's seed in %s is not the one of this data directory.", seedFile).
				WithFix("A node that joins a cluster begins with an empty data directory.")
		}
	}
	return id, os.Chmod(name, 0o600)
}

// importIdentity takes over the operator of another node.
func importIdentity(name, seedFile string) (*identity, error) {
	id, err := readSeed(seedFile)
	if err != nil {
		return nil, err
	}
	if err := writeSecret(name, id.seed); err != nil {
		return nil, fmt.Errorf("save the operator's seed: %w", err)
	}
	return id, nil
}

func readSeed(name string) (*identity, error) {
	seed, err := os.ReadFile(name)
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "The operator's seed can't be read: %s.", err)
	}
	id, err := parseIdentity(bytes.TrimSpace(seed))
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "The file %s can't be used: %s.", name, err).
			WithFix("Copy secrets/operator.seed from the data directory of another node.")
	}
	return id, nil
}

func damaged(name, why string) error {
	return fault.New(fault.Unavailable, "The data directory is damaged: %s: %s.", name, why).
		WithFix("Restore the directory from a backup, or move it away to start afresh.")
}

func newIdentity(name string) (*identity, error) {
	kp, err := nkeys.CreateOperator()
	if err != nil {
		return nil, fmt.Errorf("create the operator: %w", err)
	}
	seed, err := kp.Seed()
	if err != nil {
		return nil, fmt.Errorf("create the operator: %w", err)
	}
	if err := writeSecret(name, seed); err != nil {
		return nil, fmt.Errorf("save the operator's seed: %w", err)
	}
	return parseIdentity(seed)
}

// writeSecret writes name so that a crash leaves either nothing or all of it.
func writeSecret(name string, data []byte) error {
	tmp := name + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}

func parseIdentity(seed []byte) (*identity, error) {
	kp, err := nkeys.FromSeed(seed)
	if err != nil {
		return nil, errors.New("it holds no operator seed")
	}
	pub, err := kp.PublicKey()
	if err != nil || !nkeys.IsValidPublicOperatorKey(pub) {
		return nil, errors.New("it holds no operator seed")
	}
	id := &identity{operator: kp, seed: seed, claims: jwt.NewOperatorClaims(pub)}
	id.claims.Name = "parley"
	if id.claims.SystemAccount, err = id.accountKey(systemAccount); err != nil {
		return nil, err
	}
	// The server wants operator claims that were decoded, not just filled in.
	token, err := id.claims.Encode(kp)
	if err != nil {
		return nil, fmt.Errorf("sign the operator: %w", err)
	}
	id.claims, err = jwt.DecodeOperatorClaims(token)
	return id, err
}

// account derives the key pair of an account.
func (id *identity) account(a AccountID) (nkeys.KeyPair, error) {
	raw, err := hkdf.Key(sha256.New, id.seed, nil, "parley nats account "+string(a), 32)
	if err != nil {
		return nil, fmt.Errorf("derive the key of account %s: %w", a, err)
	}
	return nkeys.FromRawSeed(nkeys.PrefixByteAccount, raw)
}

// accountKey is an account's public key, the name by which NATS knows it.
func (id *identity) accountKey(a AccountID) (string, error) {
	kp, err := id.account(a)
	if err != nil {
		return "", err
	}
	return kp.PublicKey()
}

// routeSecret is the password of a node that connects to another one under a name.
func (id *identity) routeSecret(user string) (string, error) {
	raw, err := hkdf.Key(sha256.New, id.seed, nil, "parley cluster routes "+user, 32)
	if err != nil {
		return "", fmt.Errorf("derive the password of the routes: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(raw), nil
}
