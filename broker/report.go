package broker

import (
	"fmt"

	"github.com/nats-io/nats-server/v2/server"

	"parley/internal/meter"
)

// Report implements meter.Source.
func (e *Engine) Report(r *meter.Report) {
	r.Bool("parley_ready", "Whether this node can store messages now.", e.Ready() == nil)
	r.Gauge("parley_nodes", "Nodes that are believed to live, this one included.", float64(e.engineCount()))
	r.Gauge("parley_tenant_links", "Accounts that this node is connected to, its own included.", float64(e.ActiveConns()))
	if free, err := freeBytes(e.dir.path); err == nil {
		r.Gauge("parley_disk_free_bytes", "Free bytes on the disk of the data directory.", float64(free))
		r.Gauge("parley_disk_min_free_bytes", "Free bytes under which nothing more is stored.", float64(e.minFree.Load()))
	}
	if e.server == nil {
		return // external servers have metrics of their own
	}
	r.Gauge("parley_nats_connections", "NATS connections to this node, those of the broker itself included.", float64(e.server.NumClients()))
	r.Gauge("parley_nats_subscriptions", "NATS subscriptions on this node.", float64(e.server.NumSubscriptions()))
	r.Gauge("parley_nats_routes", "Connections to other nodes.", float64(e.server.NumRoutes()))
	r.Counter("parley_nats_slow_consumers_total", "NATS clients that did not read.", uint64(e.server.NumSlowConsumers()))
	info, err := e.server.Jsz(nil)
	if err != nil {
		return // JetStream is not there yet, or any more
	}
	if e.opener != nil {
		r.Gauge("parley_accounts_unopened", "Accounts whose streams this node has not recovered since its start, as nobody has used them yet; 0 after some minutes.", float64(len(e.opener.waiting())))
	}
	r.Gauge("parley_streams", "Streams of which this node has a copy.", float64(info.Streams))
	r.Gauge("parley_consumers", "Consumers of these streams.", float64(info.Consumers))
	r.Gauge("parley_stored_messages", "Messages in these streams.", float64(info.Messages))
	r.Gauge("parley_stored_bytes", "Bytes of these streams on this node's disk.", float64(info.Store))
	r.Counter("parley_jetstream_errors_total", "Requests to the streams that failed.", info.API.Errors)
	e.reportCluster(r, info.Meta)
}

// DiskFree returns how many bytes are free on the disk of the data directory, 0 when that is not known.
func (e *Engine) DiskFree() uint64 {
	free, err := freeBytes(e.dir.path)
	if err != nil {
		return 0
	}
	return free
}

// reportCluster tells how this node sees the cluster, which of a node alone is just that.
func (e *Engine) reportCluster(r *meter.Report, meta *server.MetaClusterInfo) {
	led, leads, size, behind := true, true, 1, 0
	if meta != nil {
		led, leads, size = meta.Leader != "", meta.Leader == e.cfg.ServerName, meta.Size
		for _, peer := range meta.Replicas {
			if peer.Offline || !peer.Current {
				behind++
			}
		}
	}
	r.Bool("parley_cluster_has_leader", "Whether somebody leads the cluster, as far as this node knows.", led)
	r.Bool("parley_cluster_leader", "Whether this node leads the cluster.", leads)
	r.Gauge("parley_cluster_size", "Nodes that the cluster consists of, whether they live or not.", float64(size))
	r.Gauge("parley_cluster_peers_behind", "Nodes that are offline or have not caught up, as the leader knows; 0 elsewhere.", float64(behind))
}

// Holding returns how many bytes the tenants have in the streams of which this node has a copy, by the names of their
// accounts. It is empty with external servers.
func (e *Engine) Holding() (map[string]uint64, error) {
	if e.server == nil {
		return nil, nil
	}
	info, err := e.server.Jsz(&server.JSzOptions{Accounts: true, Limit: 1 << 30})
	if err != nil {
		return nil, fmt.Errorf("ask what is stored: %w", err)
	}
	held := make(map[string]uint64, len(info.AccountDetails))
	if e.opener != nil {
		if held, err = e.opener.held(); err != nil {
			return nil, fmt.Errorf("look at what is stored: %w", err)
		}
	}
	for _, a := range info.AccountDetails {
		held[a.Name] = a.Store
	}
	return held, nil
}
