// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// filler is the file that takes all the room that is left on a disk.
const filler = "filler"

// dataDir returns the folder that a replica keeps its data in.
func (c *Cluster) dataDir(name string) string { return filepath.Join(c.dir, "data", name) }

// makeDisk makes a file system for a replica's folder if the disks are bounded;
// otherwise the replica makes its folder itself.
func (c *Cluster) makeDisk(name string) error {
	if c.diskBytes == 0 {
		return nil
	}
	dir := c.dataDir(name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make a disk for %s: %w", name, err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", c.diskBytes)); err != nil {
		return fmt.Errorf("make a disk of %d bytes for %s: %w", c.diskBytes, name, err)
	}
	c.disks = append(c.disks, dir)
	return nil
}

// dropDisks takes the file systems down that were made, with what is on them.
func (c *Cluster) dropDisks() (err error) {
	for _, dir := range c.disks {
		err = errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH))
	}
	c.disks = nil
	return err
}

// FillDisk leaves no room on a replica's disk, or makes room again. It needs
// Options.DiskBytes.
func (c *Cluster) FillDisk(name string, full bool) error {
	dir := c.dataDir(name)
	if !slices.Contains(c.disks, dir) {
		return fmt.Errorf("fill the disk of %s: it has none of its own", name)
	}
	path := filepath.Join(dir, filler)
	if !full {
		return removeFile(path)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("fill the disk of %s: %w", name, err)
	}
	defer f.Close()
	for block := make([]byte, 64<<10); len(block) > 0; {
		if _, err := f.Write(block); err != nil {
			if !errors.Is(err, unix.ENOSPC) {
				return fmt.Errorf("fill the disk of %s: %w", name, err)
			}
			block = block[:len(block)/2]
		}
	}
	return nil
}

// WipeDisk has a replica that does not run forget everything, as one whose disk was
// replaced.
func (c *Cluster) WipeDisk(name string) error {
	entries, err := os.ReadDir(c.dataDir(name))
	if err != nil {
		return fmt.Errorf("wipe the disk of %s: %w", name, err)
	}
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(c.dataDir(name), e.Name())))
	}
	return err
}
