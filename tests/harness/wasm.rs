//! Components that are large or slow to compile, written byte by byte: their text would take longer than they.
//!
//! Used by stories about attacks on the compiler. They fit no world: what they attack comes before anybody looks.

/// A component of one core module of many functions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bomb {
    /// How many functions.
    pub(crate) functions: u32,
    /// How many times each multiplies, four instructions and eight bytes at a time.
    pub(crate) steps: usize,
}

impl Bomb {
    /// The component.
    pub(crate) fn component(self) -> Vec<u8> {
        let mut component = b"\0asm\x0d\0\x01\0".to_vec();
        section(&mut component, 1, &self.module());
        component
    }

    fn module(self) -> Vec<u8> {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        // One type: from a number to a number.
        section(&mut module, 1, b"\x01\x60\x01\x7f\x01\x7f");
        let mut functions = number(self.functions);
        functions.resize(functions.len() + self.functions as usize, 0);
        section(&mut module, 3, &functions);
        let mut body = vec![0];
        for _ in 0..self.steps {
            // local.get 0, i32.const 1023, i32.mul, local.set 0
            body.extend(b"\x20\x00\x41\xff\x07\x6c\x21\x00");
        }
        body.extend(b"\x20\x00\x0b");
        let mut code = number(self.functions);
        for _ in 0..self.functions {
            code.extend(number(body.len() as u32));
            code.extend(&body);
        }
        section(&mut module, 10, &code);
        module
    }
}

fn section(bytes: &mut Vec<u8>, id: u8, content: &[u8]) {
    bytes.push(id);
    bytes.extend(number(content.len() as u32));
    bytes.extend(content);
}

/// LEB128.
fn number(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[test]
fn a_bomb_has_the_size_that_was_asked_for() {
    assert_eq!(number(300), [0xac, 0x02]);
    let length = Bomb { functions: 1000, steps: 1000 }.component().len();
    assert!((8_000_000..8_100_000).contains(&length), "{length}");
}
