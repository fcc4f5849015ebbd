package broker

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
)

// TLS returns how the connection is encrypted, nil when it is not: when tls=true, or the scheme says so. tls_ca= names a file of
// the authorities that may vouch for the broker, in place of the system's; tls_cert= and tls_key= one that vouches for us.
func TLS(p Params, always bool) (*tls.Config, error) {
	on, err := p.Bool("tls", always)
	if err != nil {
		return nil, err
	}
	if !on {
		for _, name := range []string{"tls_ca", "tls_cert", "tls_key"} {
			if p.Has(name) {
				return nil, p.Errorf(name, "is for encrypted connections: say tls=true as well")
			}
		}
		if always {
			return nil, p.Errorf("tls", "the scheme says that the connection is encrypted")
		}
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if p.Has("tls_ca") {
		pem, err := os.ReadFile(strings.TrimPrefix(p.Get("tls_ca"), "file:"))
		if err != nil {
			return nil, p.Errorf("tls_ca", err.Error())
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, p.Errorf("tls_ca", "there is no certificate in the file")
		}
	}
	if p.Has("tls_cert") != p.Has("tls_key") {
		return nil, p.Errorf("tls_cert", "goes together with tls_key=file:PATH")
	}
	if p.Has("tls_cert") {
		cert, err := os.ReadFile(strings.TrimPrefix(p.Get("tls_cert"), "file:"))
		if err != nil {
			return nil, p.Errorf("tls_cert", err.Error())
		}
		key, err := p.Secret("tls_key")
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair(cert, []byte(key))
		if err != nil {
			// The error speaks of the form of the two only, but it is not ours to vouch for.
			return nil, p.Errorf("tls_key", "the certificate and the key, as PEM, do not go together")
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
