"""From one relocatable BPF object to an sBPF v3 program.

Such a file (SIMD-0178, SIMD-0189) has no sections and no relocations: an ELF header, a program
header for the read-only data at address 0, one for the code at address 1 << 32, and both blobs.
A system call is a ``call`` with source register 0 and murmur3(name) as its immediate.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

TEXT_ADDRESS = 1 << 32
RODATA_ADDRESS = 0
SBPF_V3 = 3
EM_BPF = 247

_SHT_SYMTAB, _SHT_RELA, _SHT_NOBITS, _SHT_REL = 2, 4, 8, 9
_SHF_WRITE, _SHF_ALLOC, _SHF_EXECINSTR = 1, 2, 4
_STT_SECTION = 3
_R_BPF_64_64, _R_BPF_64_ABS64, _R_BPF_64_32 = 1, 2, 10

_LDDW = 0x18
_EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
_PHDR = struct.Struct("<IIQQQQQQ")
_SHDR = struct.Struct("<IIQQQQIIQQ")
_SYM = struct.Struct("<IBBHQQ")
_REL = struct.Struct("<QQ")


class LinkError(Exception):
    """The object holds something that an sBPF v3 program cannot."""


def murmur3(data: bytes) -> int:
    """MurmurHash3 x86 32-bit with seed 0 (Appleby, public domain algorithm): names of system calls."""
    mask, value = 0xFFFFFFFF, 0

    def mix(word: int) -> int:
        word = word * 0xCC9E2D51 & mask
        return ((word << 15 | word >> 17) & mask) * 0x1B873593 & mask

    whole = len(data) - len(data) % 4
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        value ^= mix(word)
        value = (((value << 13 | value >> 19) & mask) * 5 + 0xE6546B64) & mask
    if data[whole:]:
        value ^= mix(int.from_bytes(data[whole:], "little"))
    value ^= len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        value = (value ^ value >> shift) * factor & mask
    return value ^ value >> 16


@dataclass(frozen=True)
class Section:
    name: str
    kind: int
    flags: int
    link: int
    info: int
    align: int
    data: bytes


@dataclass(frozen=True)
class Symbol:
    name: str
    kind: int
    section: int
    value: int


@dataclass
class Blob:
    """One loadable segment while it is filled."""

    address: int
    data: bytearray = field(default_factory=bytearray)

    def append(self, section: Section) -> int:
        self.data += bytes(-len(self.data) % max(8, section.align))
        offset = len(self.data)
        self.data += section.data
        return offset


def _text(data: bytes, offset: int) -> str:
    return data[offset : data.index(0, offset)].decode()


def read_sections(obj: bytes) -> list[Section]:
    """The sections of a little-endian 64-bit relocatable BPF object."""
    ident, kind, machine, _, _, _, offset, _, _, _, _, _, count, names_at = _EHDR.unpack_from(obj)
    if ident[:6] != b"\x7fELF\x02\x01" or (kind, machine) != (1, EM_BPF):
        raise LinkError("not a relocatable BPF object")
    heads = [_SHDR.unpack_from(obj, offset + _SHDR.size * index) for index in range(count)]
    names = obj[heads[names_at][4] :]
    sections = []
    for name, kind, flags, _, at, size, link, info, align, _ in heads:
        data = bytes(size) if kind == _SHT_NOBITS else obj[at : at + size]
        sections.append(Section(_text(names, name), kind, flags, link, info, align, data))
    return sections


def read_symbols(sections: list[Section]) -> list[Symbol]:
    table = next(section for section in sections if section.kind == _SHT_SYMTAB)
    names = sections[table.link].data
    return [
        Symbol(_text(names, name), info & 15, section, value)
        for name, info, _, section, value, _ in _SYM.iter_unpack(table.data)
    ]


class Linker:
    """Places the sections in two segments and applies the relocations."""

    def __init__(self, obj: bytes) -> None:
        self.sections = read_sections(obj)
        self.symbols = read_symbols(self.sections)
        self.text, self.rodata = Blob(TEXT_ADDRESS), Blob(RODATA_ADDRESS)
        self.placed: dict[int, tuple[Blob, int]] = {}

    def place(self) -> None:
        for index, section in enumerate(self.sections):
            if not section.flags & _SHF_ALLOC or not section.data or section.name == ".eh_frame":
                continue
            relocated_constant = section.name.startswith(".data.rel.ro")
            if section.flags & _SHF_WRITE and not relocated_constant:
                raise LinkError(f"{section.name}: a program has no writable data")
            blob = self.text if section.flags & _SHF_EXECINSTR else self.rodata
            self.placed[index] = (blob, blob.append(section))
        self.rodata.data += bytes(-len(self.rodata.data) % 8)

    def address(self, symbol: Symbol) -> int:
        blob, offset = self.placed[symbol.section]
        return blob.address + offset + symbol.value

    def relocate(self) -> None:
        for section in self.sections:
            if section.kind == _SHT_RELA:
                raise LinkError("relocations with addends are not used by this target")
            if section.kind != _SHT_REL or section.info not in self.placed:
                continue
            blob, base = self.placed[section.info]
            for offset, info in _REL.iter_unpack(section.data):
                self.apply(blob.data, base + offset, info & 0xFFFFFFFF, self.symbols[info >> 32])

    def apply(self, data: bytearray, at: int, kind: int, symbol: Symbol) -> None:
        if kind == _R_BPF_64_64:  # a 64-bit constant in two instruction slots
            (addend,) = struct.unpack_from("<i", data, at + 4)
            address = self.address(symbol) + addend
            struct.pack_into("<I", data, at + 4, address & 0xFFFFFFFF)
            struct.pack_into("<I", data, at + 12, address >> 32)
            data[at + 1] &= 0x0F
        elif kind == _R_BPF_64_ABS64:  # a pointer in constant data
            (addend,) = struct.unpack_from("<q", data, at)
            struct.pack_into("<Q", data, at, self.address(symbol) + addend)
        elif kind == _R_BPF_64_32 and symbol.section:
            self.apply_call(data, at, symbol)
        elif kind == _R_BPF_64_32:
            data[at + 1] = 0
            struct.pack_into("<I", data, at + 4, murmur3(symbol.name.encode()))
        else:
            raise LinkError(f"relocation {kind} for {symbol.name} is not known")

    def apply_call(self, data: bytearray, at: int, symbol: Symbol) -> None:
        """A call inside the program: the distance in instructions, from the next one on.

        LLVM writes the target as (instruction − 1) where it names the section instead of a function.
        """
        (addend,) = struct.unpack_from("<i", data, at + 4)
        target = self.address(symbol) - TEXT_ADDRESS
        if symbol.kind == _STT_SECTION:
            target += (addend + 1) * 8
        struct.pack_into("<i", data, at + 4, (target - at) // 8 - 1)

    def entry(self, name: str) -> int:
        for symbol in self.symbols:
            if symbol.name == name and symbol.section in self.placed:
                return self.address(symbol)
        raise LinkError(f"no symbol {name}")


def check_instructions(text: bytes) -> None:
    """Refuse what LLVM may emit and sBPF v3 has not: a program that fails here would fail at deployment."""
    at = 0
    while at < len(text):
        opcode, offset = text[at], struct.unpack_from("<h", text, at + 2)[0]
        kind, operation = opcode & 7, opcode & 0xF0
        problem = None
        if opcode == 0x06:
            problem = "a long jump (cpu v4)"
        elif opcode in (0xC3, 0xDB):
            problem = "an atomic operation"
        elif kind == 1 and opcode & 0xE0 == 0x80:
            problem = "a sign-extending load (cpu v4)"
        elif kind in (4, 7) and offset and operation in (0x30, 0x90, 0xB0):
            problem = "a signed division or move (cpu v4)"
        elif opcode == 0xD7:
            problem = "a byte swap (cpu v4)"
        if problem:
            raise LinkError(f"instruction {at // 8} is {problem}, opcode {opcode:#x}")
        at += 16 if opcode == _LDDW else 8


def link_object(obj: bytes, entry: str) -> bytes:
    """The sBPF v3 file of a relocatable object.

    :raises LinkError: the object uses what such a file cannot hold.
    """
    linker = Linker(obj)
    linker.place()
    linker.relocate()
    check_instructions(bytes(linker.text.data))
    segments = [(4, linker.rodata)] if linker.rodata.data else []
    segments.append((1, linker.text))
    offset = _EHDR.size + _PHDR.size * len(segments)
    head = (b"\x7fELF\x02\x01\x01", 3, EM_BPF, 1, linker.entry(entry), _EHDR.size, 0, SBPF_V3)
    parts = [_EHDR.pack(*head, _EHDR.size, _PHDR.size, len(segments), 64, 0, 0)]
    for flags, blob in segments:
        size = len(blob.data)
        parts.append(_PHDR.pack(1, flags, offset, blob.address, blob.address, size, size, 8))
        offset += size
    parts.extend(bytes(blob.data) for _, blob in segments)
    return b"".join(parts)
