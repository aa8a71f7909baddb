#!/usr/bin/env python3
"""Generates the C++ messages of Envoy's v3 API from the xds-protos wheel (standard library only).

Each *_pb2.py of the wheel holds its serialized FileDescriptorProto as a bytes literal. The closure of the root files'
imports becomes one FileDescriptorSet, from which protoc writes the C++. A generated file is mostly the same few large
headers, so that many of them are compiled together: --units says into how many translation units they are put.

Only files whose content changed are written again: a root that is added compiles what it adds, and no more.
"""

import argparse
import ast
import filecmp
import pathlib
import shutil
import subprocess
import tempfile
import zipfile
import zlib

SAME_IN_EVERY_FILE = ("schemas", "file_default_instances")


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def put_varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def string_fields(message, number):
    """The length-delimited fields with this number, in the wire form of one message."""
    at, found = 0, []
    while at < len(message):
        key, at = varint(message, at)
        wire = key & 7
        if wire == 0:
            _, at = varint(message, at)
        elif wire == 1:
            at += 8
        elif wire == 2:
            size, at = varint(message, at)
            if key >> 3 == number:
                found.append(message[at : at + size])
            at += size
        elif wire == 5:
            at += 4
        else:
            raise ValueError(f"wire type {wire} in a descriptor")
    return found


def file_name(descriptor):
    return string_fields(descriptor, 1)[0].decode()


def imports(descriptor):
    return [name.decode() for name in string_fields(descriptor, 3)]


def serialized_file(source):
    """The bytes given to AddSerializedFile(...) in a generated Python module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "AddSerializedFile":
            return ast.literal_eval(node.args[0])
    return None


class Wheel:
    def __init__(self, path):
        self.zip = zipfile.ZipFile(path)

    def descriptor(self, proto):
        descriptor = serialized_file(self.zip.read(proto.removesuffix(".proto") + "_pb2.py"))
        if descriptor is None or file_name(descriptor) != proto:
            raise SystemExit(f"{proto}: the wheel holds no descriptor of this name")
        return descriptor


def closure(wheel, roots):
    """Descriptors by name, each after everything that it imports. google/protobuf is the system's."""
    ordered = {}

    def visit(proto):
        if proto in ordered or proto.startswith("google/protobuf/"):
            return
        descriptor = wheel.descriptor(proto)
        for name in imports(descriptor):
            visit(name)
        ordered[proto] = descriptor

    for root in roots:
        visit(root)
    return ordered


def read_roots(path):
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


def write_if_changed(path, content):
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def descriptor_set(descriptors):
    return b"".join(b"\x0a" + put_varint(len(one)) + one for one in descriptors)


def generate(args, names, into):
    """Runs protoc into an empty folder, then moves over what differs, so that unchanged headers keep their times."""
    include = pathlib.Path(args.well_known)
    well_known = args.out / "well_known.pb"
    sources = [str(path.relative_to(include)) for path in sorted(include.glob("google/protobuf/*.proto"))]
    subprocess.run(
        [args.protoc, f"-I{include}", "--include_imports", f"--descriptor_set_out={well_known}", *sources], check=True
    )
    with tempfile.TemporaryDirectory(dir=args.out) as temporary:
        sets = f"{well_known}:{args.out / 'xds.pb'}"
        subprocess.run([args.protoc, f"--descriptor_set_in={sets}", f"--cpp_out={temporary}", *names], check=True)
        for made in pathlib.Path(temporary).rglob("*.pb.*"):
            target = into / made.relative_to(temporary)
            if not target.exists() or not filecmp.cmp(made, target, shallow=False):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(made, target)


def write_units(names, count, out):
    # A name's hash says where it goes, so that a new root does not move the others.
    units = [[] for _ in range(count)]
    for name in sorted(names):
        units[zlib.crc32(name.encode()) % count].append(name.removesuffix(".proto"))
    for number, unit in enumerate(units):
        text = [f'#include "{name}.pb.h"\n' for name in unit]
        for index, name in enumerate(unit):
            # protoc gives these names to statics of every file.
            text += [f"#define {static} {static}_{index}\n" for static in SAME_IN_EVERY_FILE]
            text += [f'#include "{name}.pb.cc"\n']
            text += [f"#undef {static}\n" for static in SAME_IN_EVERY_FILE]
        write_if_changed(out / f"unit_{number:02}.cc", "".join(text).encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", required=True)
    parser.add_argument("--roots", type=pathlib.Path, required=True)
    parser.add_argument("--protoc", default="protoc")
    parser.add_argument("--well-known", default="/usr/include", help="the folder that holds google/protobuf/*.proto")
    parser.add_argument("--units", type=int, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="gets gen/, unit_NN.cc, xds.pb, stamp")
    args = parser.parse_args()

    args.out.mkdir(parents=True, exist_ok=True)
    files = closure(Wheel(args.wheel), read_roots(args.roots))
    write_if_changed(args.out / "xds.pb", descriptor_set(files.values()))
    generate(args, list(files), args.out / "gen")
    write_units(files, args.units, args.out)
    (args.out / "stamp").write_text("")


if __name__ == "__main__":
    main()
