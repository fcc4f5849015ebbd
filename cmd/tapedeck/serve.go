package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"tapedeck/internal/broker"
	"tapedeck/internal/server"
)

func newServe() *cobra.Command {
	var (
		config string
		print  bool
	)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server: feeds, tape, history, browser UI",
		Example: "  tapedeck serve\n" +
			"  tapedeck serve --feed 'sim://?symbols=AAPL,MSFT&rate=10/s' --listen 127.0.0.1:9000\n" +
			"  tapedeck serve --feed 'replay:///home/me/trades.csv.gz?symbol=SPY&speed=10'",
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&config, "config", "", "configuration `FILE` (default ./tapedeck.yaml if it exists)")
	flags.BoolVar(&print, "print-config", false, "print the configuration as it would be used, secrets masked, and end")
	listen := flags.String("listen", "", "`ADDRESS` of the HTTP server (default 127.0.0.1:8000)")
	data := flags.String("data", "", "`DIR` of the tape and the store (default in the user's data folder)")
	feeds := flags.StringArray("feed", nil, "source of ticks as a `URL`; may be given several times (default a simulated market)")
	targets := flags.StringArray("publish", nil, "broker that ticks on the tape are sent to, as a `URL`; may be given several times")
	roles := flags.String("roles", "", "parts that run, as `LIST` (default feed,record,alert,gateway)")
	hot := flags.String("hot", "", "`AGE` from which whole days move from the store into the archive, such as 7d (default never)")
	archive := flags.String("archive", "", "`URL` of the archive: a folder, file:///… or s3://… (default archive/ in the data folder)")
	keep := flags.String("keep", "", "`AGE` from which archived days are removed, such as 365d (default never)")
	keepBytes := flags.String("keep-bytes", "", "`SIZE` of the archive above which its oldest days are removed, such as 500GiB (default never)")
	publicURL := flags.String("public-url", "", "`URL` at which browsers reach a proxy in front of the server")
	insecure := flags.Bool("insecure-http", false, "listen on other addresses than loopback, without TLS and without login")
	level := flags.String("log-level", "", "`LEVEL` debug, info, warn or error (default info)")
	format := flags.String("log-format", "", "`FORMAT` text or json (default text)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		overrides := make(map[string][]string)
		for name, o := range map[string]struct {
			key    string
			values func() []string
		}{
			"listen":        {"listen", func() []string { return []string{*listen} }},
			"data":          {"data", func() []string { return []string{*data} }},
			"feed":          {"feeds", func() []string { return *feeds }},
			"publish":       {"publish", func() []string { return *targets }},
			"roles":         {"roles", func() []string { return []string{*roles} }},
			"hot":           {"hot", func() []string { return []string{*hot} }},
			"archive":       {"archive", func() []string { return []string{*archive} }},
			"keep":          {"keep", func() []string { return []string{*keep} }},
			"keep-bytes":    {"keep_bytes", func() []string { return []string{*keepBytes} }},
			"public-url":    {"public_url", func() []string { return []string{*publicURL} }},
			"insecure-http": {"insecure_http", func() []string { return []string{fmt.Sprint(*insecure)} }},
			"log-level":     {"log.level", func() []string { return []string{*level} }},
			"log-format":    {"log.format", func() []string { return []string{*format} }},
		} {
			if cmd.Flags().Changed(name) {
				overrides[o.key] = o.values()
			}
		}
		c, err := server.Load(config, os.Environ(), overrides)
		if err != nil {
			return fail(exitConfig, err)
		}
		if print {
			return fail(exitFailed, c.Print(cmd.OutOrStdout(), server.MaskFeed))
		}
		return serve(cmd, c)
	}
	return cmd
}

func serve(cmd *cobra.Command, c server.Config) error {
	log := newLogger(cmd.ErrOrStderr(), c.LogLevel, c.LogFormat)
	broker.Quiet()
	s, err := server.New(server.Options{
		Config:  c,
		Logger:  log,
		Version: buildVersion(),
		Ready: func(url string) {
			fmt.Fprintf(cmd.OutOrStdout(), "Tapedeck is at %s\n", url)
		},
	})
	if err != nil {
		return fail(exitConfig, err)
	}
	err = s.Run(cmd.Context())
	if errors.Is(err, server.ErrRefused) {
		return fail(exitConfig, err)
	}
	return fail(exitFailed, err)
}

// newLogger makes the logger of the process.
func newLogger(w io.Writer, level, format string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo // unreachable: the configuration knows the levels
	}
	opts := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
