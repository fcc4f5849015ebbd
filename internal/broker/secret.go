package broker

import (
	"net/url"
	"strings"
)

// Hidden is an error whose text shows no secret.
type Hidden struct {
	err  error
	text string
}

func (e *Hidden) Error() string { return e.text }

// Unwrap returns the error whose text may show a secret.
func (e *Hidden) Unwrap() error { return e.err }

// Hide returns err with the secrets in its text masked, as they are and as they stand in a URL. Clients put into their errors
// whatever they were given.
func Hide(err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	shown := text
	for _, s := range secrets {
		if s == "" {
			continue
		}
		for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s), url.UserPassword("", s).String()[1:]} {
			text = strings.ReplaceAll(text, form, "***")
		}
	}
	if text == shown {
		return err
	}
	return &Hidden{err, text}
}
