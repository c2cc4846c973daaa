// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"dalio/impl/replica/durable"
)

// disk is a replica's, in memory. What is written is there when the process ends, and
// what is synced when power is lost.
type disk struct {
	files *vfs.MemFS
	store *durable.Store

	// The rest is guarded, for a store writes in goroutines of its own.
	mu sync.Mutex
	// failing is what every write fails with, nil for a disk that works.
	failing error
	// syncs counts down to the sync of the log during which power is lost, 0 for none.
	// Torn: the log has what was being synced all the same.
	syncs int
	torn  bool
	// left is what is on the disk after that.
	left *vfs.MemFS
	lost bool
}

func newDisk() *disk { return &disk{files: vfs.NewCrashableMem()} }

// crashed returns what is on the disk after a crash, with or without what was not
// synced.
func (d *disk) crashed(unsynced bool) *vfs.MemFS {
	cfg := vfs.CrashCloneCfg{}
	if unsynced {
		cfg = vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(0, 0))}
	}
	return d.files.CrashClone(cfg)
}

// open opens the store, as a replica does that starts.
func (d *disk) open() (*durable.Store, error) {
	files := errorfs.Wrap(d.files, errorfs.InjectorFunc(d.inject))
	var err error
	d.store, err = durable.Open("/replica", durable.Options{FS: files})
	return d.store, err
}

// inject has an operation fail, or power be lost before it is done.
func (d *disk) inject(op errorfs.Op) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lost {
		return syscall.EIO
	}
	if d.failing != nil && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
		return d.failing
	}
	if isSync(op.Kind) && strings.HasSuffix(op.Path, ".log") && d.syncs > 0 {
		if d.syncs--; d.syncs == 0 {
			d.left, d.lost = d.crashed(d.torn), true
			return syscall.EIO
		}
	}
	return nil
}

func isSync(k errorfs.OpKind) bool {
	return k == errorfs.OpFileSync || k == errorfs.OpFileSyncData || k == errorfs.OpFileSyncTo
}

// fails has every write fail from now on, or work again.
func (d *disk) fails(with error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failing = with
}

// losesPower has power be lost during one of the next syncs.
func (d *disk) losesPower(syncs int, torn bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.syncs, d.torn = syncs, torn
}

// ailing says whether the disk fails, or will lose power.
func (d *disk) ailing() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failing != nil || d.syncs > 0 || d.lost
}

// failed says whether the store has failed, so that the process must end.
func (d *disk) failed() bool {
	select {
	case <-d.store.Failed():
		return true
	default:
		return false
	}
}

// powerless says whether power was lost during a sync.
func (d *disk) powerless() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lost
}

// lose has power be lost now, if it has not been.
func (d *disk) lose() {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.store == nil: // No process uses it.
		d.files = d.crashed(false)
	case !d.lost:
		d.left, d.lost = d.crashed(false), true
	}
}

// close ends the use of the disk by a process that has ended, or could not start.
func (d *disk) close() {
	d.mu.Lock()
	left := d.left
	if left == nil {
		left = d.crashed(true)
	}
	// What the store writes from now on is of no consequence.
	d.lost = true
	d.mu.Unlock()
	if d.store != nil {
		_ = d.store.Close() // It fails, as it is lost.
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files, d.store, d.left, d.lost, d.syncs = left, nil, nil, false, 0
}
