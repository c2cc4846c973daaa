// SPDX-License-Identifier: Apache-2.0

package fabric

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// leaseDir holds one locked file for each living rack.
	leaseDir    = "/run/dalio"
	leaseSuffix = ".lock"
	namePrefix  = "dalio-"
	leaseTries  = 16
)

// lease is a rack's proof of life: a file locked for as long as its process
// lives. The kernel drops the lock with the process, so it cannot lie.
type lease struct {
	id   string
	file *os.File
}

// acquireLease takes a lease under an unused id.
func acquireLease() (*lease, error) {
	if err := os.MkdirAll(leaseDir, 0o755); err != nil {
		return nil, fmt.Errorf("lease a rack: %w", err)
	}
	for range leaseTries {
		var random [4]byte
		if _, err := rand.Read(random[:]); err != nil {
			return nil, fmt.Errorf("lease a rack: %w", err)
		}
		id := hex.EncodeToString(random[:])
		file, err := os.OpenFile(leasePath(id), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("lease a rack: %w", err)
		}
		// A janitor elsewhere may take the file before we lock it; then it
		// is gone or going, and another id is free.
		if lock(file) {
			_, err = fmt.Fprintf(file, "%d\n", os.Getpid())
			if err != nil {
				return nil, errors.Join(fmt.Errorf("lease a rack: %w", err), (&lease{id, file}).release())
			}
			return &lease{id: id, file: file}, nil
		}
		file.Close()
	}
	return nil, fmt.Errorf("lease a rack: no free id in %s after %d tries", leaseDir, leaseTries)
}

func leasePath(id string) string { return filepath.Join(leaseDir, id+leaseSuffix) }

// lock locks a lease file without waiting, and makes sure that it is still
// the one its path names.
func lock(file *os.File) bool {
	if unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return false
	}
	locked, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(file.Name())
	return err == nil && os.SameFile(locked, named)
}

// namespaceName is the name of a node's namespace: the rack's id, the owner's
// process id, and the node.
func (l *lease) namespaceName(node string) string {
	return fmt.Sprintf("%s%s-%d-%s", namePrefix, l.id, os.Getpid(), node)
}

// release ends the lease. The names must be gone by then.
func (l *lease) release() error {
	return errors.Join(os.Remove(l.file.Name()), l.file.Close())
}

// Clean removes what racks of dead processes left behind and returns the
// names it removed. It touches nothing of the living, and nothing that fabric
// did not make. New calls it.
func Clean() ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(leaseDir, "*"+leaseSuffix))
	if err != nil {
		return nil, fmt.Errorf("clean up after dead racks: %w", err)
	}
	var removed []string
	var problems []error
	for _, path := range paths {
		names, err := cleanLease(path)
		removed = append(removed, names...)
		problems = append(problems, err)
	}
	names, err := cleanOrphans()
	return append(removed, names...), errors.Join(append(problems, err)...)
}

// cleanLease removes a rack whose owner no longer holds its lease.
func cleanLease(path string) ([]string, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("clean up after a dead rack: %w", err)
	}
	defer file.Close()
	if !lock(file) {
		return nil, nil
	}
	id := strings.TrimSuffix(filepath.Base(path), leaseSuffix)
	names, err := removeNames(namePrefix+id+"-", func(string) bool { return true })
	if err != nil {
		return names, err
	}
	if err := os.Remove(path); err != nil {
		return names, fmt.Errorf("clean up after a dead rack: %w", err)
	}
	return names, nil
}

// cleanOrphans removes names without a lease file, if they lead nowhere.
func cleanOrphans() ([]string, error) {
	return removeNames(namePrefix, func(name string) bool {
		id, _, _ := strings.Cut(strings.TrimPrefix(name, namePrefix), "-")
		if _, err := os.Stat(leasePath(id)); !errors.Is(err, fs.ErrNotExist) {
			return false
		}
		_, err := os.Stat(filepath.Join(nameDir, name))
		return errors.Is(err, fs.ErrNotExist)
	})
}

// removeNames removes the condemned among the names that fabric made. One that
// is a mount, in the manner of ip-netns(8), is a stranger's.
func removeNames(prefix string, condemned func(name string) bool) ([]string, error) {
	entries, err := os.ReadDir(nameDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("clean up after dead racks: %w", err)
	}
	var removed []string
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, prefix) || entry.Type()&fs.ModeSymlink == 0 || !condemned(name) {
			continue
		}
		if err := removeName(name); err != nil {
			return removed, err
		}
		removed = append(removed, name)
	}
	return removed, nil
}
