package admin

import (
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"parley/backup"
	"parley/internal/fault"
	"parley/tenants"
)

// transferPause is how long either end of a backup that is being transferred may do nothing.
const transferPause = time.Minute

// backup streams an archive of one tenant or all. What goes wrong after it has begun stands in the archive, which is then
// cut off.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) error {
	order, err := orderOf(r)
	if err != nil {
		return err
	}
	out := &download{w: w, control: http.NewResponseController(w)}
	defer out.end()
	err = backup.Write(r.Context(), backup.Source{Engine: s.engine, Registry: s.registry, Version: s.cfg.Info().Version}, order, out)
	if err == nil || !out.begun {
		return err
	}
	s.log.Warn("A backup was not finished.", "error", err)
	return cutOffError{err}
}

// tarType is the media type of archives.
const tarType = "application/x-tar"

// cutOffError is why an answer ends that has begun already.
type cutOffError struct{ error }

// Unwrap returns the reason.
func (c cutOffError) Unwrap() error { return c.error }

// queriedTenant is the tenant that a request is about when it is about one.
func queriedTenant(_ http.ResponseWriter, r *http.Request) (string, error) {
	query := r.URL.Query()
	if as := query.Get("as"); as != "" {
		return as, nil
	}
	return query.Get("tenant"), nil
}

// orderOf reads what is to be backed up: tenant=ID, secrets=no.
func orderOf(r *http.Request) (order backup.Order, err error) {
	query := r.URL.Query()
	if err := known(query, "tenant", "secrets"); err != nil {
		return order, err
	}
	if id := query.Get("tenant"); id != "" {
		if order.Tenant, err = tenants.ParseID(id); err != nil {
			return order, err
		}
	}
	secrets, err := flagOf(query.Get("secrets"), true)
	order.WithoutSecrets = !secrets
	return order, err
}

// known refuses parameters that mean nothing: a misspelt one would do more than was meant.
func known(query map[string][]string, names ...string) error {
	for name := range query {
		if !slices.Contains(names, name) {
			return fault.New(fault.InvalidFormat, "There is no parameter %q here; there are: %s.", name, strings.Join(names, ", "))
		}
	}
	return nil
}

func flagOf(text string, otherwise bool) (bool, error) {
	switch text {
	case "":
		return otherwise, nil
	case "yes":
		return true, nil
	case "no":
		return false, nil
	}
	return false, fault.New(fault.InvalidFormat, "%q is neither yes nor no.", text)
}

// download is the body of an answer that may take long, but not pause for long.
type download struct {
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

// Write implements io.Writer.
func (d *download) Write(p []byte) (int, error) {
	if !d.begun {
		d.begun = true
		d.w.Header().Set("Content-Type", tarType)
	}
	if err := d.control.SetWriteDeadline(time.Now().Add(transferPause)); err != nil {
		return 0, err
	}
	return d.w.Write(p)
}

// end sends what is buffered and takes the deadline back.
func (d *download) end() {
	if d.begun {
		_ = d.control.Flush() // a client that is gone misses nothing
		_ = d.control.SetWriteDeadline(time.Time{})
	}
}

// restore takes an archive, proves it, and restores what is asked for.
func (s *Server) restore(w http.ResponseWriter, r *http.Request) error {
	wish, err := wishOf(r)
	if err != nil {
		return err
	}
	file, err := s.spool(w, r)
	if err != nil {
		return err
	}
	defer file.Close()
	done, err := backup.Restore(r.Context(), backup.Target{Engine: s.engine, Registry: s.registry}, wish, file)
	if err != nil {
		return partly(done, err)
	}
	s.reply(w, http.StatusOK, done)
	return nil
}

// wishOf reads what is to be restored: tenant=ID, as=ID, replace=yes.
func wishOf(r *http.Request) (wish backup.Wish, err error) {
	query := r.URL.Query()
	if err := known(query, "tenant", "as", "replace"); err != nil {
		return wish, err
	}
	for name, id := range map[string]*tenants.ID{"tenant": &wish.Tenant, "as": &wish.As} {
		if text := query.Get(name); text != "" {
			if *id, err = tenants.ParseID(text); err != nil {
				return wish, err
			}
		}
	}
	wish.Replace, err = flagOf(query.Get("replace"), false)
	return wish, err
}

// partly says in an error what was restored before it.
func partly(done backup.Restored, err error) error {
	if len(done.Tenants) == 0 {
		return err
	}
	names := make([]string, len(done.Tenants))
	for i, t := range done.Tenants {
		names[i] = string(t.Tenant)
	}
	return fault.Wrap(fault.CodeOf(err), err, "%s These were restored before that: %s.", fault.Message(err), strings.Join(names, ", ")).
		WithFix("%s", fault.Fix(err))
}

// spool writes the body of a request to a file that has no name, so that nothing of it is left whatever happens.
func (s *Server) spool(w http.ResponseWriter, r *http.Request) (_ *os.File, err error) {
	file, err := os.CreateTemp(s.cfg.Spool, ".restore-*") // mode 0600
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "There is no place for the backup: %s.", err)
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	if err := os.Remove(file.Name()); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "There is no place for the backup: %s.", err)
	}
	control := http.NewResponseController(w)
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	for {
		if err := s.engine.Check(); err != nil { // the tenants' messages need the disk more
			return nil, err
		}
		_ = control.SetReadDeadline(time.Now().Add(transferPause))
		switch _, err := io.CopyN(file, r.Body, 4<<20); {
		case errors.Is(err, io.EOF):
			_, err := file.Seek(0, io.SeekStart)
			return file, err
		case err != nil:
			return nil, fault.Wrap(fault.Unavailable, err, "The backup did not arrive whole.")
		}
	}
}
