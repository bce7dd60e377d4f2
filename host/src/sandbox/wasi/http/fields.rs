//! `fields`: headers and trailers.

use wasmtime::{
    StoreContextMut,
    component::{LinkerInstance, Resource, ResourceType},
};

use super::{
    super::{View, Wasi, misuse},
    FieldsHandle, Slot,
    codes::HeaderError,
    table::check_size,
};
use crate::capability::http::{Fields, is_forbidden, is_name, is_value};

type Store<'a, T> = StoreContextMut<'a, T>;
type This = Resource<FieldsHandle>;
type Changed = Result<(), HeaderError>;

impl Wasi {
    pub(super) fn new_fields(&mut self, entries: Fields, is_fixed: bool) -> wasmtime::Result<This> {
        Ok(Resource::new_own(self.insert(Slot::Fields { entries, is_fixed })?))
    }

    pub(super) fn take_fields(&mut self, this: &This) -> wasmtime::Result<Fields> {
        match self.remove(this.rep())? {
            Slot::Fields { entries, .. } => Ok(entries),
            _ => Err(misuse(NONE)),
        }
    }

    fn fields<T>(&mut self, this: &This, look: impl FnOnce(&Fields) -> T) -> wasmtime::Result<T> {
        self.with(this.rep(), |slot| match slot {
            Slot::Fields { entries, .. } => Ok(look(entries)),
            _ => Err(misuse(NONE)),
        })
    }

    /// Changes headers; `copied` are the bytes of which that makes copies.
    fn change(
        &mut self,
        this: &This,
        copied: usize,
        change: impl FnOnce(&mut Fields) -> Changed,
    ) -> wasmtime::Result<(Changed,)> {
        check_size(copied)?;
        self.with(this.rep(), |slot| match slot {
            Slot::Fields { is_fixed: true, .. } => Ok((Err(HeaderError::Immutable),)),
            Slot::Fields { entries, .. } => Ok((change(entries),)),
            _ => Err(misuse(NONE)),
        })
    }
}

const NONE: &str = "it used fields that are none";

fn check(name: &str, values: &[Vec<u8>]) -> Changed {
    if !is_name(name) || !values.iter().all(|value| is_value(value)) {
        return Err(HeaderError::InvalidSyntax);
    }
    if is_forbidden(name) { Err(HeaderError::Forbidden) } else { Ok(()) }
}

pub(super) fn add_to_linker<T: View>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.resource("fields", ResourceType::host::<FieldsHandle>(), |mut store, handle| {
        store.data_mut().wasi().drop_slot(handle)
    })?;
    types.func_wrap("[constructor]fields", |mut store: Store<'_, T>, ()| {
        Ok((store.data_mut().wasi().new_fields(Fields::new(), false)?,))
    })?;
    types.func_wrap("[static]fields.from-list", |mut store: Store<'_, T>, (entries,): (Fields,)| {
        let wrong = entries.iter().find_map(|(name, value)| check(name, std::slice::from_ref(value)).err());
        Ok((match wrong {
            Some(error) => Err(error),
            None => Ok(store.data_mut().wasi().new_fields(entries, false)?),
        },))
    })?;
    types.func_wrap("[method]fields.get", |mut store: Store<'_, T>, (this, name): (This, String)| {
        store.data_mut().wasi().fields(&this, |entries| {
            let found = entries.iter().filter(|(other, _)| other.eq_ignore_ascii_case(&name));
            (found.map(|(_, value)| value.clone()).collect::<Vec<Vec<u8>>>(),)
        })
    })?;
    types.func_wrap("[method]fields.has", |mut store: Store<'_, T>, (this, name): (This, String)| {
        store
            .data_mut()
            .wasi()
            .fields(&this, |entries| (entries.iter().any(|(other, _)| other.eq_ignore_ascii_case(&name)),))
    })?;
    types.func_wrap(
        "[method]fields.set",
        |mut store: Store<'_, T>, (this, name, values): (This, String, Vec<Vec<u8>>)| {
            store.data_mut().wasi().change(&this, values.len().saturating_mul(name.len()), |entries| {
                check(&name, &values)?;
                entries.retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
                entries.extend(values.into_iter().map(|value| (name.clone(), value)));
                Ok(())
            })
        },
    )?;
    types.func_wrap("[method]fields.delete", |mut store: Store<'_, T>, (this, name): (This, String)| {
        store.data_mut().wasi().change(&this, 0, |entries| {
            check(&name, &[])?;
            entries.retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
            Ok(())
        })
    })?;
    types.func_wrap(
        "[method]fields.append",
        |mut store: Store<'_, T>, (this, name, value): (This, String, Vec<u8>)| {
            store.data_mut().wasi().change(&this, 0, |entries| {
                check(&name, std::slice::from_ref(&value))?;
                entries.push((name, value));
                Ok(())
            })
        },
    )?;
    types.func_wrap("[method]fields.entries", |mut store: Store<'_, T>, (this,): (This,)| {
        Ok((store.data_mut().wasi().fields(&this, Fields::clone)?,))
    })?;
    types.func_wrap("[method]fields.clone", |mut store: Store<'_, T>, (this,): (This,)| {
        let entries = store.data_mut().wasi().fields(&this, Fields::clone)?;
        Ok((store.data_mut().wasi().new_fields(entries, false)?,))
    })
}
