// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"dalio/impl/internal/files"
)

// Report is what a suite found, as it is written to report.json.
type Report struct {
	// Ratios are medians over the rounds, and Samples has each round's.
	Ratios    map[string]float64   `json:"ratios"`
	Samples   map[string][]float64 `json:"samples"`
	Intervals map[string]Interval  `json:"intervals"`
	Meanings  map[string]string    `json:"meanings"`
	Settings  Settings             `json:"settings"`
	Rounds    int                  `json:"rounds"`
	// Warm and Window are seconds.
	Warm    float64   `json:"warm_seconds"`
	Window  float64   `json:"window_seconds"`
	Started time.Time `json:"started"`
	Took    float64   `json:"took_seconds"`
	// Repeated is how many samples were taken again because lanes got lost.
	Repeated int     `json:"repeated_samples"`
	Machine  Machine `json:"machine"`
	// Balancers says of each balancer which version was measured.
	Balancers    map[string]string `json:"balancers,omitempty"`
	Measurements []Sample          `json:"measurements"`
	// WholeSystem has the samples of whole systems, if they were measured.
	WholeSystem any `json:"whole_system,omitempty"`

	// rows are the keys in the order in which they are printed.
	rows []string
}

// Machine is where the suite ran.
type Machine struct {
	Kernel     string  `json:"kernel"`
	Processor  string  `json:"processor"`
	Processors int     `json:"processors"`
	Virtual    bool    `json:"virtual"`
	MemoryMB   uint64  `json:"memory_mb"`
	Go         string  `json:"go"`
	JIT        string  `json:"bpf_jit"`
	LoadBefore float64 `json:"load_average_before"`
	LoadAfter  float64 `json:"load_average_after"`
}

func newReport(s *Suite) (*Report, error) {
	if err := s.Settings.validate(); err != nil {
		return nil, err
	}
	machine, err := DescribeMachine()
	if err != nil {
		return nil, err
	}
	balancers := map[string]string{}
	for _, b := range s.Balancers {
		if balancers[b.Name()], err = b.Version(); err != nil {
			return nil, err
		}
	}
	return &Report{
		Ratios: map[string]float64{}, Samples: map[string][]float64{}, Intervals: map[string]Interval{},
		Meanings: map[string]string{}, Settings: s.Settings, Rounds: s.Rounds, Warm: s.Timing.Warm.Seconds(),
		Window: s.Timing.Window.Seconds(), Started: time.Now().UTC(), Machine: machine, Balancers: balancers,
	}, nil
}

// Comparison is a ratio of measurements, one for each round.
type Comparison struct {
	Key     string
	Samples []float64
	Meaning string
}

// Quotients divides measurements by others, round by round.
func Quotients(over, under []float64) []float64 {
	samples := make([]float64, min(len(over), len(under)))
	for i := range samples {
		samples[i] = over[i] / under[i]
	}
	return samples
}

// Add adds a comparison, unless nothing was measured.
func (r *Report) Add(c Comparison) {
	if len(c.Samples) == 0 {
		return
	}
	r.rows = append(r.rows, c.Key)
	r.Ratios[c.Key] = Median(c.Samples)
	r.Samples[c.Key] = c.Samples
	r.Intervals[c.Key] = MedianInterval(c.Samples)
	r.Meanings[c.Key] = c.Meaning
}

// DescribeMachine returns what this machine is.
func DescribeMachine() (Machine, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return Machine{}, fmt.Errorf("describe the machine: %w", err)
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return Machine{}, fmt.Errorf("describe the machine: %w", err)
	}
	jit, err := os.ReadFile("/proc/sys/net/core/bpf_jit_enable")
	if err != nil {
		jit = []byte("unknown")
	}
	m := Machine{
		Kernel:     unix.ByteSliceToString(name.Release[:]) + " " + unix.ByteSliceToString(name.Version[:]),
		Processors: runtime.NumCPU(), MemoryMB: info.Totalram * uint64(info.Unit) >> 20,
		Go: runtime.Version(), JIT: strings.TrimSpace(string(jit)), LoadBefore: loadAverage(),
	}
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return m, fmt.Errorf("describe the processor: %w", err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		field, value, _ := strings.Cut(lines.Text(), ":")
		switch strings.TrimSpace(field) {
		case "model name":
			m.Processor = strings.TrimSpace(value)
		case "flags":
			m.Virtual = slices.Contains(strings.Fields(value), "hypervisor")
		}
	}
	return m, nil
}

// String says it in a line.
func (m Machine) String() string {
	return fmt.Sprintf("%s, %d processors, Linux %s", m.Processor, m.Processors, m.Kernel)
}

// loadAverage is that of the last minute, 0 if the kernel doesn't tell.
func loadAverage() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	var load float64
	if _, err := fmt.Sscan(string(text), &load); err != nil {
		return 0
	}
	return load
}

// Write writes the report as JSON, in one piece.
func (r *Report) Write(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the folder for the report: %w", err)
	}
	return files.ReplaceJSON(path, r)
}

// Print writes the table of what was measured of coordinators alone.
func (r *Report) Print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\nworkload\tcontender\tns/op\tops/s\tcoordinator busy\tsurroundings busy\tothers on its processor\t\n")
	for _, key := range r.combinations() {
		if r.timed(key) {
			continue
		}
		of := func(value func(Sample) float64) float64 { return Median(r.values(series{key[1], key[0], value})) }
		name := key[1]
		if version := r.Balancers[name]; version != "" {
			name = version + ": " + balances
		}
		fmt.Fprintf(t, "%s\t%s\t%.0f\t%.0f\t%.0f %%\t%.0f %%\t%.0f %%\t\n", key[0], name, of(cpuOf), of(rateOf),
			100*of(func(s Sample) float64 { return s.Busy }), 100*of(func(s Sample) float64 { return s.Outside }),
			100*of(func(s Sample) float64 { return s.Foreign }))
	}
	if err := errors.Join(t.Flush(), r.printLatencies(out)); err != nil {
		return fmt.Errorf("print the measurements: %w", err)
	}
	return nil
}

// PrintRatios writes the table of all ratios.
func (r *Report) PrintRatios(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\nratio\tmedian\tinterval\tconfidence\trange\tof what\t\n")
	for _, key := range r.rows {
		i, samples := r.Intervals[key], r.Samples[key]
		fmt.Fprintf(t, "%s\t%.2f\t%.2f to %.2f\t%.0f %%\t%.2f to %.2f\t%s\t\n", key, r.Ratios[key], i.Low, i.High,
			100*i.Confidence, slices.Min(samples), slices.Max(samples), r.Meanings[key])
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print the ratios: %w", err)
	}
	return nil
}

// combinations returns workload and contender of the measurements, as they come.
func (r *Report) combinations() [][2]string {
	var all [][2]string
	for _, s := range r.Measurements {
		if key := [2]string{s.Workload, s.Contender}; !slices.Contains(all, key) {
			all = append(all, key)
		}
	}
	return all
}
