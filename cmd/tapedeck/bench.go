package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine with this program: how fast ticks come in, go out, and are found again",
		Long: "Makes its own load against a server that it starts for the purpose, on data of its own that it removes again, and\n" +
			"prints what it measured as a table, or as JSON.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBenchFanout(), newBenchIngest(), newBenchQuery())
	return cmd
}

// machine is what a figure was measured on.
type machine struct {
	Version string    `json:"version"`
	Go      string    `json:"go"`
	OS      string    `json:"os"`
	Arch    string    `json:"arch"`
	CPUs    int       `json:"cpus"`
	Time    time.Time `json:"time"`
}

func thisMachine() machine {
	return machine{buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), time.Now().UTC().Truncate(time.Second)}
}

// ownServer is a server for a benchmark: this program, on a folder of its own, with nothing of the user's configuration.
func ownServer(cmd *cobra.Command, dir, feed string, settings ...string) (*child, error) {
	data, err := os.MkdirTemp(dir, "data-")
	if err != nil {
		return nil, err
	}
	return serverOn(cmd, dir, data, feed, settings...)
}

// serverOn is ownServer on data that are there already. Without a feed it has none.
func serverOn(cmd *cobra.Command, dir, data, feed string, settings ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	env := []string{"HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_DATA_HOME=" + dir, "TAPEDECK_DRAIN_TIMEOUT=1s"}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "TAPEDECK_") && name != "HOME" && !strings.HasPrefix(name, "XDG_") {
			env = append(env, v)
		}
	}
	args := []string{"serve", "--listen", "127.0.0.1:0", "--data", data, "--log-level", "error"}
	if feed == "" {
		args = append(args, "--roles", "record,alert,gateway")
	} else {
		args = append(args, "--feed", feed)
	}
	c := exec.CommandContext(cmd.Context(), self, args...)
	c.Dir, c.Env = dir, append(env, settings...)
	return startChild(c)
}

// scratch makes the folder that a benchmark's servers write to, below data or among the temporary files.
func scratch(data string) (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp(data, "tapedeck-bench-")
	if err != nil {
		return "", nil, fmt.Errorf("make a folder for the benchmark's data: %w", err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

// printJSON writes a report for programs.
func printJSON(w io.Writer, report any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(report)
}

// printRows writes a table: what it is, and columns of values. A nil row is an empty line.
func printRows(w io.Writer, rows [][]string) error {
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			fmt.Fprintf(&b, "%*s", [2]int{-34, 17}[min(i, 1)], cell)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// count writes a number with commas between thousands.
func count(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// bytesText writes a number of bytes for people.
func bytesText(v float64) string {
	switch {
	case v >= 1e9:
		return fmt.Sprintf("%.2f GB", v/1e9)
	case v >= 1e6:
		return fmt.Sprintf("%.1f MB", v/1e6)
	case v >= 10e3:
		return fmt.Sprintf("%.1f KB", v/1e3)
	}
	return fmt.Sprintf("%.0f B", v)
}

// optional writes a value that could not always be had.
func optional(v *float64, text func(float64) string) string {
	if v == nil {
		return "-"
	}
	return text(*v)
}

// scrape reads /metrics of a server: the value of each line, by its name with its labels.
func scrape(cmd *cobra.Command, base string) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, strings.TrimSuffix(base, "/")+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read metrics of %s: %s", base, resp.Status)
	}
	return parseMetrics(string(body)), nil
}

// parseMetrics reads Prometheus text, as the server writes it: a name with labels, a space, a number.
func parseMetrics(text string) map[string]float64 {
	values := make(map[string]float64)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		var v float64
		if _, err := fmt.Sscan(line[i+1:], &v); err == nil {
			values[line[:i]] = v
		}
	}
	return values
}
