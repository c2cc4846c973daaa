// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"dalio/impl/cluster"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

const (
	// valueSize is that of the data that a replica has to catch up with.
	valueSize = 1300
	fillers   = 128
	// sampled is how many records of the data are read back; all of them are in the
	// digests.
	sampled = 2000
	// digestTimeout bounds the digest of all that a replica holds.
	digestTimeout = time.Minute
	digestBits    = 8
)

// data is what a shard is filled with, besides what the load writes: records whose
// values follow from their keys.
type data struct{ records int }

func newData(megabytes int) data {
	size := len(keyOf(0)) + valueSize
	return data{(megabytes*1_000_000 + size - 1) / size}
}

func keyOf(i int) string { return fmt.Sprintf("f%08d", i) }

func valueOf(i int) string { return keyOf(i) + strings.Repeat("x", valueSize-len(keyOf(i))) }

func (d data) megabytes() float64 { return float64(d.records*(len(keyOf(0))+valueSize)) / 1e6 }

// fill writes all records, and returns at how many a second. Each is acknowledged.
func (d data) fill(ctx context.Context, s *site) (rate float64, err error) {
	begun, next := time.Now(), atomic.Int64{}
	filling, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for range fillers {
		all.Go(func() {
			for filling.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= d.records {
					return
				}
				if err := s.client.Put(ctx, keyOf(i), []byte(valueOf(i))); err != nil {
					cancel(fmt.Errorf("fill the shard: %w", err))
				}
			}
		})
	}
	full := make(chan struct{})
	go func() { all.Wait(); close(full) }()
	for {
		select {
		case <-full:
			return float64(d.records) / time.Since(begun).Seconds(), context.Cause(filling)
		case <-time.After(progressEvery):
			s.progress("  filling: %d of %d records", min(int(next.Load()), d.records), d.records)
		}
	}
}

// check reads some of the records back.
func (d data) check(ctx context.Context, s *site) error {
	random := rand.New(rand.NewPCG(s.options.Seed, 1))
	for range min(sampled, d.records) {
		i := random.IntN(d.records)
		if value, err := s.client.Get(ctx, keyOf(i)); err != nil || string(value) != valueOf(i) {
			return fmt.Errorf("read %s, which was acknowledged: %d bytes, %v; want its %d bytes", keyOf(i), len(value), err, valueSize)
		}
	}
	return nil
}

// sameEverywhere compares all that the replicas hold, while nobody writes, and
// returns an error if one holds anything else than the others, or too little.
func sameEverywhere(ctx context.Context, s *site, least int) error {
	health, err := s.awaitWhole(ctx)
	if err != nil {
		return err
	}
	var first control.Digests
	for i, p := range s.View().Replicas {
		replica := s.control(p)
		d, err := replica.Digests(ctx, protocol.Epoch(health.Status.Epoch), digestBits)
		replica.Close()
		if err != nil {
			return err
		}
		if i == 0 {
			first = d
		}
		records := 0
		for k, part := range d.Ranges {
			records += part.Records
			if part != first.Ranges[k] {
				return fmt.Errorf("range %d of %s has %d records and digest %x, that of %s %d and %x", k, p.Name, part.Records, part.Sum,
					s.View().Replicas[0].Name, first.Ranges[k].Records, first.Ranges[k].Sum)
			}
		}
		if records < least {
			return fmt.Errorf("%s holds %d records, and %d were acknowledged", p.Name, records, least)
		}
	}
	return nil
}

// control returns a client of a replica's control API, to be closed.
func (s *site) control(p *cluster.Process) *control.Client {
	return control.NewClient(netip.AddrPortFrom(p.Node.Addr, protocol.Port), control.Options{Timeout: digestTimeout, Dial: s.Client.Dialer(net.Dialer{})})
}
