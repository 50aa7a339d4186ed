//! libpq itself, asked how it reads connection strings: the newest that `make setup` installs.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::scratch::Scratch;
use crate::tools::{python_program, subfolders, workspace};

/// Reads a file of connection strings as hexadecimal digits, a line each. Prints the parameters
/// that libpq knows; then, for each string, what it makes of it, or `!`.
const SCRIPT: &str = r#"
import ctypes, sys
class Option(ctypes.Structure):
    _fields_ = [(name, ctypes.c_char_p) for name in
        ("keyword", "envvar", "compiled", "val", "label", "dispchar")] + [("dispsize", ctypes.c_int)]
libpq = ctypes.CDLL(sys.argv[1])
parse = libpq.PQconninfoParse
parse.restype = ctypes.POINTER(Option)
parse.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
libpq.PQconninfoFree.argtypes = [ctypes.c_void_p]
def options(text):
    found = parse(text, None)
    if not found:
        return None
    all, n = [], 0
    while found[n].keyword:
        all.append((found[n].keyword.decode(), found[n].val))
        n += 1
    libpq.PQconninfoFree(found)
    return all
print(" ".join(name for name, _ in options(b"")))
for line in open(sys.argv[2]):
    found = options(bytes.fromhex(line.strip()))
    if found is None:
        print("!")
    else:
        print(" ".join(name + "=" + value.hex() for name, value in found if value is not None))
"#;

/// The parameters of a connection string, decoded.
pub type Parameters = BTreeMap<String, Vec<u8>>;

/// The parameters that libpq knows, and its reading of each string; `None`: it refuses the string.
#[derive(Debug)]
pub struct Answers {
    /// The names of all parameters.
    pub known: Vec<String>,
    /// As many as there were strings.
    pub parameters: Vec<Option<Parameters>>,
}

/// Asks libpq about these connection strings, which hold no U+0000.
pub fn ask(texts: &[String]) -> Result<Answers> {
    let scratch = Scratch::new("libpq")?;
    let file = scratch.path().join("texts");
    let lines: Vec<String> = texts.iter().map(|text| digits(text)).collect();
    fs::write(&file, lines.join("\n")).context("write connection strings")?;
    let output = Command::new(python_program("python")?)
        .args(["-c", SCRIPT])
        .arg(library()?)
        .arg(&file)
        .output()
        .context("run python")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    let mut lines = text.lines();
    let known = lines.next().context("no parameters")?;
    let answers = Answers {
        known: known.split(' ').map(str::to_owned).collect(),
        parameters: lines.map(read).collect::<Result<_>>()?,
    };
    ensure!(answers.parameters.len() == texts.len(), "not all answered");
    Ok(answers)
}

fn digits(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn read(line: &str) -> Result<Option<Parameters>> {
    if line == "!" {
        return Ok(None);
    }
    let mut parameters = Parameters::new();
    for parameter in line.split(' ').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').context("no value")?;
        let bytes = (0..value.len()).step_by(2);
        let bytes: Result<Vec<u8>, _> = bytes
            .map(|at| u8::from_str_radix(&value[at..at + 2], 16))
            .collect();
        parameters.insert(name.to_owned(), bytes?);
    }
    Ok(Some(parameters))
}

/// The one that comes with the PostgreSQL in `.tools`.
fn library() -> Result<PathBuf> {
    let packages = subfolders(&workspace().join(".tools/venv/lib"));
    packages
        .iter()
        .flat_map(|library| subfolders(&library.join("site-packages")))
        .map(|package| package.join("pginstall/lib/libpq.so.5"))
        .find(|library| library.exists())
        .context("libpq is missing: run `make setup`")
}
