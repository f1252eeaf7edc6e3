//go:build linux

package main

import (
	"encoding/json"
	"net/http"

	"parley/admin"
	"parley/internal/usage"
)

// standIn answers what the load generator asks of the admin API: it makes tenants and keys by saying so.
func standIn(addr, url string) http.Handler {
	mux := http.NewServeMux()
	reply := func(w http.ResponseWriter, status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("GET /admin/v1/info", func(w http.ResponseWriter, _ *http.Request) {
		info := admin.Info{Version: "limit", Listen: []string{addr}, Admin: url}
		if own, ok := usage.Own(); ok {
			info.Process = &admin.Process{UserSeconds: own.User.Seconds(), SystemSeconds: own.System.Seconds(), RSS: own.RSS}
		}
		reply(w, http.StatusOK, info)
	})
	made := func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusCreated, struct{}{}) }
	mux.HandleFunc("POST /admin/v1/tenants", made)
	mux.HandleFunc("POST /admin/v1/tenants/{tenant}/keys", made)
	mux.HandleFunc("DELETE /admin/v1/tenants/{tenant}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return mux
}
