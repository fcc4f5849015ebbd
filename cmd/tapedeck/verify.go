package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"tapedeck/internal/server"
)

func newVerify() *cobra.Command {
	var (
		config string
		data   string
		where  string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check the tape, the store and the archive of a stopped server",
		Long: "Reads all of the tape, the store and the archive and checks them: epoch, first and last position, gaps, checksums, the numbers\n" +
			"of every symbol. It writes nothing. It ends with 0 when all is sound, 1 when something is damaged or missing,\n" +
			"and 78 when the folder is in use or of another format.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("data") {
				c, err := server.Load(config, os.Environ(), nil)
				if err != nil {
					return fail(exitConfig, err)
				}
				data = c.Data
				if where == "" {
					where = c.Archive
				}
			}
			report, err := server.Verify(cmd.Context(), data, where)
			if errors.Is(err, server.ErrRefused) {
				return fail(exitConfig, err)
			}
			if err != nil {
				return fail(exitFailed, err)
			}
			if err := printReport(cmd.OutOrStdout(), &report, asJSON); err != nil {
				return fail(exitFailed, err)
			}
			if !report.OK {
				return fail(exitFailed, fmt.Errorf("%s: %s", data, report.Problems[0]))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "configuration `FILE` that names the data folder")
	cmd.Flags().StringVar(&data, "data", "", "`DIR` of the tape and the store")
	cmd.Flags().StringVar(&where, "archive", "", "`URL` of the archive, as serve has it (default archive/ in the data folder)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return cmd
}

func printReport(w io.Writer, r *server.Report, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	return r.Print(w)
}
