// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// Suite is a whole benchmark: every contender with every workload, in turn, as
// often as there are rounds.
type Suite struct {
	Settings Settings
	Timing   Timing
	// Unloaded is the timing of the samples of unloaded latency, of which there are
	// none if it has no window.
	Unloaded Timing
	Rounds   int
	// Limits bound Dalio from above: the first of them, "limit", is measured unloaded,
	// too. Rivals do the same work by other means, the first of them "c", and Echo bounds
	// that one.
	Dalio          Contender
	Limits, Rivals []Contender
	// Balancers are measured by the reads alone, and do less.
	Balancers []Balancer
	// UnloadedRivals are those whose unloaded latency is measured.
	UnloadedRivals []Contender
	Echo           Contender
	// Progress is called before each sample, with the number of those done.
	Progress func(done, all int, contender, workload string)
}

type job struct {
	contender Contender
	workload  Workload
}

// jobs are the samples of one round. Those that are compared are neighbors.
func (s *Suite) jobs() []job {
	var all []job
	for i, w := range s.Settings.Workloads() {
		all = append(all, job{s.Dalio, w})
		for _, other := range slices.Concat(s.Limits, s.Rivals) {
			all = append(all, job{other, w})
		}
		if i > 0 {
			continue
		}
		// Next to the reads, which they are compared with.
		for _, b := range s.Balancers {
			all = append(all, job{b, w})
		}
		if s.Echo != nil {
			all = append(all, job{s.Echo, echoWorkload})
		}
	}
	for _, w := range s.unloaded() {
		all = append(all, job{s.Dalio, w}, job{s.Limits[0], w})
		for _, rival := range s.UnloadedRivals {
			all = append(all, job{rival, w})
		}
	}
	return all
}

// unloaded are the workloads of unloaded latency, if they are measured.
func (s *Suite) unloaded() []Workload {
	if s.Unloaded.Window == 0 {
		return nil
	}
	return s.Settings.Unloaded()
}

// Run takes all samples.
func (s *Suite) Run(ctx context.Context) (*Report, error) {
	start := time.Now()
	r, err := newReport(s)
	if err != nil {
		return nil, err
	}
	defer Unhurried()()
	jobs := s.jobs()
	for round := range s.Rounds {
		for i, j := range jobs {
			if s.Progress != nil {
				s.Progress(round*len(jobs)+i, s.Rounds*len(jobs), j.contender.Name(), j.workload.Name)
			}
			sample, again, err := MeasurePatiently(ctx, s.Settings, j.contender, j.workload, s.timing(j.workload))
			if err != nil {
				return nil, fmt.Errorf("round %d: %w", round+1, err)
			}
			r.Repeated += again
			sample.Round = round + 1
			r.Measurements = append(r.Measurements, sample)
		}
	}
	r.Took = time.Since(start).Seconds()
	s.compare(r)
	r.Machine.LoadAfter = loadAverage()
	return r, nil
}

func (s *Suite) timing(w Workload) Timing {
	if w.Work.Timed {
		return s.Unloaded
	}
	return s.Timing
}

// MeasurePatiently is Measure, but tries again, up to three times, when lanes or events were
// lost: a burst can overflow a ring when the processors have other work too. It also returns
// how often it did. Wrong answers are never excused.
func MeasurePatiently(ctx context.Context, s Settings, c Contender, w Workload, t Timing) (sample Sample, again int, err error) {
	const tries = 3
	for ; ; again++ {
		runtime.GC()
		sample, err := Measure(ctx, s, c, w, t)
		if err == nil || again == tries-1 || !errors.Is(err, ErrLanesLost) && !errors.Is(err, ErrEventsLost) {
			return sample, again, err
		}
	}
}

// Ratio is one figure of the report: how two contenders compare.
type Ratio struct {
	Key string
	// Over and Under are the measurements divided.
	Over, Under series
	Meaning     string
}

// series is a measurement of one contender with one workload, over all rounds.
type series struct {
	contender, workload string
	value               func(Sample) float64
}

func cpuOf(s Sample) float64     { return s.CPU }
func rateOf(s Sample) float64    { return s.Rate }
func packetsOf(s Sample) float64 { return s.Packets }

// Ratios lists what the suite compares.
func (s *Suite) Ratios() []Ratio {
	var all []Ratio
	dalio := s.Dalio.Name()
	for _, w := range s.Settings.Workloads() {
		for _, rival := range s.Rivals {
			all = append(all, versus(dalio, rival.Name(), w, "")...)
		}
	}
	for _, b := range s.Balancers {
		all = append(all, versus(dalio, b.Name(), s.Settings.Workloads()[0], " ("+balances+")")...)
	}
	for _, w := range s.Settings.Workloads() {
		for _, limit := range s.Limits {
			all = append(all, Ratio{w.Name + ".of_" + limit.Name(), series{limit.Name(), w.Name, cpuOf}, series{dalio, w.Name, cpuOf},
				fmt.Sprintf("processor time per operation, stateless XDP (%s) over Dalio", limit.Name())})
		}
	}
	if s.Echo != nil && len(s.Rivals) > 0 {
		all = append(all, Ratio{"c.of_echo", series{s.Rivals[0].Name(), s.Settings.Workloads()[0].Name, packetsOf},
			series{s.Echo.Name(), echoWorkload.Name, packetsOf},
			"packets in and out per second, the C coordinator's (reads) over a bare echo's"})
	}
	return append(all, s.latencyRatios()...)
}

// versus compares a rival with Dalio by one workload; note says what else there is to it.
func versus(dalio, rival string, w Workload, note string) []Ratio {
	key := w.Name + ".vs_" + rival
	return []Ratio{
		{key, series{rival, w.Name, cpuOf}, series{dalio, w.Name, cpuOf}, fmt.Sprintf("processor time per operation, %s%s over Dalio", rival, note)},
		{key + "_ops", series{dalio, w.Name, rateOf}, series{rival, w.Name, rateOf}, fmt.Sprintf("operations per second, Dalio over %s%s", rival, note)},
	}
}

// compare fills in the ratios: each is the median of the ratios of the rounds.
func (s *Suite) compare(r *Report) {
	for _, ratio := range s.Ratios() {
		r.Add(Comparison{ratio.Key, Quotients(r.values(ratio.Over), r.values(ratio.Under)), ratio.Meaning})
	}
}

// values returns a series in the order of the rounds.
func (r *Report) values(s series) []float64 {
	var values []float64
	for _, sample := range r.Measurements {
		if sample.Contender == s.contender && sample.Workload == s.workload {
			values = append(values, s.value(sample))
		}
	}
	return values
}
