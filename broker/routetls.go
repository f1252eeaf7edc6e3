package broker

import (
	"crypto/tls"
	"crypto/x509"
	"os"

	"parley/internal/fault"
)

// routeTLS returns how the nodes encrypt what they say to each other, and prove who they are: both sides with a
// certificate of the cluster's CA. nil means neither.
func (c Cluster) routeTLS() (*tls.Config, error) {
	if c.CertFile == "" && c.KeyFile == "" && c.CAFile == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "The certificate of the cluster can't be used: %s.", rootCause(err)).
			WithFix("Give all of --cluster-cert, --cluster-key and --cluster-ca, each a PEM file.")
	}
	pem, err := os.ReadFile(c.CAFile)
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		return nil, fault.Wrap(fault.Usage, err, "The file %q holds no certificate of a CA.", c.CAFile).
			WithFix("Give all of --cluster-cert, --cluster-key and --cluster-ca, each a PEM file.")
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert},
		RootCAs: roots, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
	}, nil
}
