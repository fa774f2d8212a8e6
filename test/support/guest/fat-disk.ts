// A disk as in cameras and firmware: case does not matter, and only names, times and content are kept.

const SECTOR = 512;
const SECTORS = 2048;

/** @returns an empty FAT12 of 1 MiB (source: Microsoft's FAT specification, "Boot Sector and BPB") */
export function fatDisk(): Buffer {
  const disk = Buffer.alloc(SECTORS * SECTOR);
  disk.write('\u{eb}\u{3c}\u{90}BANGER  ', 0, 'latin1');
  disk.writeUInt16LE(SECTOR, 11);
  disk.writeUInt8(4, 13); // sectors in a cluster
  disk.writeUInt16LE(1, 14); // sectors before the table
  disk.writeUInt8(1, 16); // tables
  disk.writeUInt16LE(SECTOR, 17); // names in the root
  disk.writeUInt16LE(SECTORS, 19);
  disk.writeUInt8(0xf8, 21);
  disk.writeUInt16LE(2, 22); // sectors of the table
  disk.writeUInt16LE(0xaa55, 510);
  disk.write('\u{f8}\u{ff}\u{ff}', SECTOR, 'latin1');
  return disk;
}
