package nova

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// decode reads keyword arguments into a struct, and says in Python's words what is wrong with them. A field's name is
// its `json` tag, else its own in lower case; one that is a pointer, or has `omitempty`, may be left out.
func decode(arguments string, into any) string {
	target := reflect.ValueOf(into).Elem()
	if target.Kind() != reflect.Struct {
		return mistake(json.Unmarshal([]byte(arguments), into))
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal([]byte(arguments), &given); err != nil {
		return mistake(err)
	}
	var missing []string
	for index := range target.NumField() {
		field := target.Type().Field(index)
		if !field.IsExported() {
			continue
		}
		name, optional := parameter(field)
		value, ok := given[name]
		delete(given, name)
		if !ok {
			if !optional {
				missing = append(missing, "'"+name+"'")
			}
			continue
		}
		reader := json.NewDecoder(bytes.NewReader(value))
		reader.UseNumber()
		if err := reader.Decode(target.Field(index).Addr().Interface()); err != nil {
			return fmt.Sprintf("argument '%s' must be %s", name, wanted(field.Type))
		}
	}
	for name := range given {
		return fmt.Sprintf("got an unexpected keyword argument '%s'", name)
	}
	if len(missing) > 0 {
		plural := ""
		if len(missing) > 1 {
			plural = "s"
		}
		return fmt.Sprintf("missing %d required positional argument%s: %s", len(missing), plural, strings.Join(missing, ", "))
	}
	return ""
}

func parameter(field reflect.StructField) (name string, optional bool) {
	tag, options, _ := strings.Cut(field.Tag.Get("json"), ",")
	if tag == "" {
		tag = strings.ToLower(field.Name)
	}
	return tag, strings.Contains(options, "omitempty") || field.Type.Kind() == reflect.Pointer
}

func wanted(kind reflect.Type) string {
	switch kind.Kind() {
	case reflect.Bool:
		return "a boolean"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "an integer"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "an integer that is not negative"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		return "a list"
	default:
		return "an object"
	}
}

// mistake never repeats a value, which may be a password.
func mistake(err error) string {
	if err == nil {
		return ""
	}
	return "the arguments have the wrong type"
}
