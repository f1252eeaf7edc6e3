package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"parley/admin"
)

// restart is what it takes to start a broker that holds something already, until it is ready.
type restart struct {
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_seconds"`
	RSS        uint64  `json:"rss_bytes"`

	First *firsts `json:"first_messages,omitempty"`
	Open  *opened `json:"open,omitempty"`
}

// firsts is how long the first messages of some tenants took, one tenant after the other, right after the start.
type firsts struct {
	P50  float64 `json:"p50_ms"`
	Most float64 `json:"most_ms"`
}

// opened is when the streams of all tenants were recovered, counted from when the broker was started.
type opened struct {
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_seconds"`
	RSS        uint64  `json:"rss_bytes"`
}

// again starts the broker on what a directory holds, and looks what tenants meet then if it is told to.
func (s server) again(ctx context.Context, dir string, tenants bool) (r *restart, err error) {
	began := time.Now()
	_, stop, err := s.start(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	r = &restart{Seconds: time.Since(began).Seconds()}
	url, key, err := admin.Find(dir)
	if err != nil {
		return nil, err
	}
	client, err := admin.NewClient(url, key)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if r.CPUSeconds, r.RSS, err = spent(ctx, client); err != nil || !tenants {
		return r, err
	}
	if r.First, err = tellSome(ctx, client); err != nil {
		return nil, err
	}
	if err := awaitOpen(ctx, dir, url); err != nil {
		return nil, err
	}
	r.Open = &opened{Seconds: time.Since(began).Seconds()}
	r.Open.CPUSeconds, r.Open.RSS, err = spent(ctx, client)
	return r, err
}

// spent returns what the broker has used so far, 0 where that is not known.
func spent(ctx context.Context, client *admin.Client) (cpuSeconds float64, rss uint64, err error) {
	info, err := client.Info(ctx)
	if err != nil || info.Process == nil {
		return 0, 0, err
	}
	return info.Process.UserSeconds + info.Process.SystemSeconds, info.Process.RSS, nil
}

// told is how many tenants get a message.
const told = 100

// tellSome publishes a message in tenants that are chosen at random.
func tellSome(ctx context.Context, client *admin.Client) (*firsts, error) {
	all, err := client.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var took []float64
	for _, t := range all[:min(told, len(all))] {
		began := time.Now()
		if _, err := client.Publish(ctx, string(t.ID), "first", admin.NewMessage{Content: jsontext.Value(`"hello"`)}); err != nil {
			return nil, fmt.Errorf("the first message of tenant %s: %w", t.ID, err)
		}
		took = append(took, float64(time.Since(began).Microseconds())/1000)
	}
	if len(took) == 0 {
		return nil, errors.New("the broker has lost its tenants")
	}
	slices.Sort(took)
	return &firsts{P50: took[len(took)/2], Most: took[len(took)-1]}, nil
}

// openWithin bounds how long it may take until all tenants are open. The broker leaves most of the processor to others meanwhile.
const openWithin = 20 * time.Minute

func awaitOpen(ctx context.Context, dir, url string) error {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	key, err := admin.ReadKey(filepath.Join(dir, "metrics.key"))
	if err != nil {
		return err
	}
	for {
		open, err := allOpen(ctx, url, key)
		if err != nil || open {
			return err
		}
		if !sleep(ctx, time.Second) {
			return errors.New("the tenants were not open in time")
		}
	}
}

// allOpen reports whether the metrics say that no tenant is left to be opened.
func allOpen(ctx context.Context, url, key string) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if left, ok := strings.CutPrefix(lines.Text(), "parley_accounts_unopened "); ok {
			return left == "0", nil
		}
	}
	return false, errors.Join(lines.Err(), errors.New("the broker does not say how many tenants are left to be opened"))
}
