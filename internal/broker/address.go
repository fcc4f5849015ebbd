package broker

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Address is what stands between :// and ? of a URL: user:password@host:port,host:port/path.
type Address struct {
	User     string
	Password string
	Hosts    []string // host:port, at least one
	Path     string   // topic, subject or channel
}

// ParseAddress reads a target. A host without a port gets the usual one. Errors show neither the user nor the password.
func ParseAddress(target, port string) (Address, error) {
	var a Address
	authority, path, _ := strings.Cut(target, "/")
	a.Path = path
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		a.User, a.Password, _ = strings.Cut(authority[:at], ":")
		authority = authority[at+1:]
	}
	for host := range strings.SplitSeq(authority, ",") {
		if host = strings.TrimSpace(host); host == "" {
			continue
		}
		host, err := withPort(host, port)
		if err != nil {
			return Address{}, err
		}
		a.Hosts = append(a.Hosts, host)
	}
	if len(a.Hosts) == 0 {
		return Address{}, errors.New("the URL names no host, as in scheme://host:port/name")
	}
	return a, nil
}

func withPort(host, port string) (string, error) {
	name, given, err := net.SplitHostPort(host)
	if err != nil {
		if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
			return "", fmt.Errorf("%.80q is not a host and a port; an IPv6 address stands in brackets", host)
		}
		return net.JoinHostPort(strings.Trim(host, "[]"), port), nil
	}
	if _, err := strconv.ParseUint(given, 10, 16); err != nil || name == "" {
		return "", fmt.Errorf("%.80q is not a host and a port", host)
	}
	return host, nil
}

// Login returns who speaks with the broker: the parameters user= and password=, else what the address says.
func Login(a *Address, p Params) (user, password string, err error) {
	user, password = a.User, a.Password
	if p.Has("user") {
		if user, err = p.Secret("user"); err != nil {
			return "", "", err
		}
	}
	if p.Has("password") {
		if password, err = p.Secret("password"); err != nil {
			return "", "", err
		}
	}
	return user, password, nil
}

// LoginParams returns the names of the parameters that Login and TLS know.
func LoginParams() []string {
	return []string{"user", "password", "tls", "tls_ca", "tls_cert", "tls_key"}
}
