// Command tapedeck records live market prices, keeps every tick, and shows them: one program, one folder of data.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"tapedeck/internal/server"
)

// Exit codes, as docs/operations.md lists them.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitConfig = 78 // EX_CONFIG of sysexits.h: configuration or data refused, nothing written
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main with its surroundings handed in. The first SIGINT or SIGTERM asks for an orderly end, the second ends at once.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from now on the default action: a second signal kills

	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	code := exitUsage // cobra's own errors are about the command line
	if failed, ok := errors.AsType[*exitError](err); ok {
		code = failed.code
	}
	if err.Error() != "" {
		fmt.Fprintln(stderr, "tapedeck:", err)
	}
	return code
}

// exitError is an error of a command that ran, with the exit code that it ends with.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// fail marks err as a failure of the command, not of its usage. It returns nil for nil.
func fail(code int, err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code, err}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "tapedeck",
		Short: "Live market prices, every tick kept",
		Long: "Tapedeck takes ticks from feeds, puts each on a durable tape before anyone sees it, and serves them live\n" +
			"and from history to browsers, bots and tools. Start with: tapedeck serve",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		PersistentPreRun: func(cmd *cobra.Command, _ []string) {
			for _, what := range server.Misspelt(os.Environ()) {
				fmt.Fprintln(cmd.ErrOrStderr(), "tapedeck:", what)
			}
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(newServe(), newTail(), newPlay(), newAlert(), newVerify(), newImport(), newExport(), newBench(), newVersion())
	return root
}
