package admin

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"

	"parley/backup"
	"parley/internal/fault"
)

// Backup returns an archive of one tenant, or of all when tenant is "". The caller closes it, and has backup.Verify say
// whether it is whole.
func (c *Client) Backup(ctx context.Context, tenant string, secrets bool) (io.ReadCloser, error) {
	query := url.Values{}
	if tenant != "" {
		query.Set("tenant", tenant)
	}
	if !secrets {
		query.Set("secrets", "no")
	}
	resp, err := c.send(ctx, "GET", "/backup?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, problemOf(resp)
	}
	return resp.Body, nil
}

// RestoreWish says what Restore is to restore: as backup.Wish, with the ids as they were typed.
type RestoreWish struct {
	Tenant, As string
	Replace    bool
}

// Restore sends an archive and returns what was restored of it.
func (c *Client) Restore(ctx context.Context, wish RestoreWish, archive io.Reader) (done backup.Restored, err error) {
	query := url.Values{}
	for name, value := range map[string]string{"tenant": wish.Tenant, "as": wish.As} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if wish.Replace {
		query.Set("replace", "yes")
	}
	resp, err := c.sendAs(ctx, "POST", "/restore?"+query.Encode(), tarType, io.NopCloser(archive))
	if err != nil {
		return done, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return done, problemOf(resp)
	}
	if err := json.UnmarshalRead(io.LimitReader(resp.Body, maxAnswerBytes), &done); err != nil {
		return done, fault.Wrap(fault.Unavailable, err, "The server's answer can't be read: is it parley's admin API?")
	}
	return done, nil
}
