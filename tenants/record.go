package tenants

import (
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
)

// recordFormat is written into every record, so that a later version can tell what it reads.
const recordFormat = 1

// maxRecordBytes keeps a record within what NATS takes as one message.
const maxRecordBytes = 448 << 10

// record is a tenant as it is stored, secrets and all. It never leaves this package.
type record struct {
	Format int `json:"format"`
	Tenant
	Keys    []keyRecord    `json:"keys"`     // hides Tenant.Keys
	APIKeys []apiKeyRecord `json:"api_keys"` // hides Tenant.APIKeys
	Spare   spare          `json:"spare,omitzero"`
	Past    int            `json:"past,omitempty"`
	Aged    bool           `json:"aged,omitzero"`
}

type apiKeyRecord struct {
	APIKey
	Sum []byte `json:"sum,omitempty"`
}

type keyRecord struct {
	Key
	Secret  []byte `json:"secret,omitempty"`
	Private []byte `json:"private,omitempty"`
}

func encodeRecord(t Tenant) ([]byte, error) {
	r := record{
		Format: recordFormat, Tenant: t, Spare: t.spare, Past: t.past, Aged: t.aged,
		Keys: make([]keyRecord, len(t.Keys)), APIKeys: make([]apiKeyRecord, len(t.APIKeys)),
	}
	for i, k := range t.Keys {
		r.Keys[i].Key = k
		if k.material != nil {
			m := k.material()
			r.Keys[i].Secret, r.Keys[i].Private = m.secret, m.private
		}
	}
	for i, k := range t.APIKeys {
		r.APIKeys[i].APIKey = k
		if k.Revoked.IsZero() {
			r.APIKeys[i].Sum = k.sum[:]
		}
	}
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode tenant %s: %w", t.ID, err)
	}
	if len(b) > maxRecordBytes {
		return nil, fault.New(fault.LimitExceeded, "What is known of the tenant %s would take more than %d bytes.", t.ID, maxRecordBytes).
			WithFix("Let credentials and API keys that are not needed run out, or name fewer subjects.")
	}
	return b, nil
}

// decodeRecord reads an entry of the bucket. The revision is the bucket's, not the record's.
func decodeRecord(entry jetstream.KeyValueEntry) (Tenant, error) {
	t, err := parseRecord(entry.Value())
	if err == nil && string(t.ID) != entry.Key() {
		err = fmt.Errorf("it is the record of %q", t.ID)
	}
	if err != nil {
		return Tenant{}, fmt.Errorf("decode tenant %q: %w", entry.Key(), err)
	}
	t.Revision = entry.Revision()
	return t, nil
}

// parseRecord undoes encodeRecord.
func parseRecord(b []byte) (Tenant, error) {
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return Tenant{}, err
	}
	if r.Format != recordFormat || r.Account == "" {
		return Tenant{}, fmt.Errorf("not a record of format %d", recordFormat)
	}
	t := r.Tenant
	if t.Limits == nil { // written before there were limits
		t.Limits = Limits{}
	}
	t.spare, t.past, t.aged = r.Spare, r.Past, r.Aged
	t.Keys = make([]Key, len(r.Keys))
	for i, k := range r.Keys {
		t.Keys[i] = k.Key
		if k.Secret != nil || k.Private != nil {
			t.Keys[i].material = seal(material{secret: k.Secret, private: k.Private})
		}
	}
	t.APIKeys = make([]APIKey, len(r.APIKeys))
	for i, k := range r.APIKeys {
		t.APIKeys[i] = k.APIKey
		copy(t.APIKeys[i].sum[:], k.Sum)
	}
	return t, nil
}
