package http

import (
	"wit_component/wasi_http_outgoing_handler"
	types "wit_component/wasi_http_types"
	"wit_component/wasi_io_streams"

	witTypes "go.bytecodealliance.org/pkg/wit/types"
)

// read is how many bytes are read at once, write how many are written: WASI's bound.
const read, write = 64 << 10, 4096

func init() { Host = send }

func send(request Request) (*Response, *Error) {
	outgoing, err := prepare(request)
	if err != nil {
		return nil, err
	}
	body := outgoing.Body()
	handled := wasi_http_outgoing_handler.Handle(outgoing, witTypes.Some(options(request)))
	if handled.IsErr() {
		body.Ok().Drop()
		return nil, of(handled.Err())
	}
	future := handled.Ok()
	defer future.Drop()
	if err := fill(body.Ok(), request.Body); err != nil {
		return nil, err
	}
	ready := future.Subscribe()
	ready.Block()
	ready.Drop()
	result := future.Get().Some().Ok()
	if result.IsErr() {
		return nil, of(result.Err())
	}
	return receive(result.Ok())
}

func prepare(request Request) (*types.OutgoingRequest, *Error) {
	scheme, authority, path, ok := parts(request.URL)
	if !ok {
		return nil, invalid("the URL")
	}
	schemes := map[string]types.Scheme{"http": types.MakeSchemeHttp(), "https": types.MakeSchemeHttps()}
	of, ok := schemes[scheme]
	if !ok {
		return nil, invalid("the URL's scheme")
	}
	entries := []witTypes.Tuple2[string, []uint8]{}
	for _, header := range request.Headers {
		entries = append(entries, witTypes.Tuple2[string, []uint8]{F0: header.Name, F1: []byte(header.Value)})
	}
	headers := types.FieldsFromList(entries)
	if headers.IsErr() {
		return nil, invalid("the headers")
	}
	outgoing := types.MakeOutgoingRequest(headers.Ok())
	target := witTypes.None[string]()
	if path != "" {
		target = witTypes.Some(path)
	}
	for _, step := range []struct {
		what string
		set  witTypes.Result[witTypes.Unit, witTypes.Unit]
	}{
		{"the method", outgoing.SetMethod(types.MakeMethodOther(request.Method))},
		{"the URL's scheme", outgoing.SetScheme(witTypes.Some(of))},
		{"the URL's host", outgoing.SetAuthority(witTypes.Some(authority))},
		{"the URL's path", outgoing.SetPathWithQuery(target)},
	} {
		if step.set.IsErr() {
			outgoing.Drop()
			return nil, invalid(step.what)
		}
	}
	return outgoing, nil
}

func options(request Request) *types.RequestOptions {
	options := types.MakeRequestOptions()
	if request.Timeout > 0 {
		timeout := witTypes.Some(uint64(request.Timeout))
		options.SetConnectTimeout(timeout)
		options.SetFirstByteTimeout(timeout)
		options.SetBetweenBytesTimeout(timeout)
	}
	return options
}

func fill(body *types.OutgoingBody, bytes []byte) *Error {
	if len(bytes) > 0 {
		stream := body.Write().Ok()
		defer stream.Drop()
		for at := 0; at < len(bytes); at += write {
			wrote := stream.BlockingWriteAndFlush(bytes[at:min(at+write, len(bytes))])
			if wrote.IsErr() {
				body.Drop()
				return ofStream(wrote.Err())
			}
		}
	}
	if finished := types.OutgoingBodyFinish(body, witTypes.None[*types.Fields]()); finished.IsErr() {
		return of(finished.Err())
	}
	return nil
}

func receive(incoming *types.IncomingResponse) (*Response, *Error) {
	defer incoming.Drop()
	response := &Response{Status: int(incoming.Status())}
	headers := incoming.Headers()
	for _, entry := range headers.Entries() {
		response.Headers = append(response.Headers, Header{entry.F0, string(entry.F1)})
	}
	headers.Drop()
	body := incoming.Consume().Ok()
	defer body.Drop()
	stream := body.Stream().Ok()
	defer stream.Drop()
	for {
		piece := stream.BlockingRead(read)
		if piece.IsOk() {
			response.Body = append(response.Body, piece.Ok()...)
		} else if err := piece.Err(); err.Tag() == wasi_io_streams.StreamErrorClosed {
			return response, nil
		} else {
			return nil, ofStream(err)
		}
	}
}

func invalid(what string) *Error { return Raise(Invalid, what+" cannot be sent") }

func ofStream(err wasi_io_streams.StreamError) *Error {
	if err.Tag() == wasi_io_streams.StreamErrorClosed {
		return Raise(Unavailable, "the stream is closed")
	}
	cause := err.LastOperationFailed()
	defer cause.Drop()
	if code := types.HttpErrorCode(cause); code.IsSome() {
		return of(code.Some())
	}
	return Raise(Unavailable, cause.ToDebugString())
}

// words are the names of the error codes, in their order.
var words = [...]string{
	"dns-timeout", "dns-error", "destination-not-found", "destination-unavailable", "destination-ip-prohibited",
	"destination-ip-unroutable", "connection-refused", "connection-terminated", "connection-timeout",
	"connection-read-timeout", "connection-write-timeout", "connection-limit-reached", "tls-protocol-error",
	"tls-certificate-error", "tls-alert-received", "http-request-denied", "http-request-length-required",
	"http-request-body-size", "http-request-method-invalid", "http-request-uri-invalid", "http-request-uri-too-long",
	"http-request-header-section-size", "http-request-header-size", "http-request-trailer-section-size",
	"http-request-trailer-size", "http-response-incomplete", "http-response-header-section-size",
	"http-response-header-size", "http-response-body-size", "http-response-trailer-section-size",
	"http-response-trailer-size", "http-response-transfer-coding", "http-response-content-coding",
	"http-response-timeout", "http-upgrade-failed", "http-protocol-error", "loop-detected", "configuration-error",
	"internal-error",
}

func of(code types.ErrorCode) *Error {
	word := words[code.Tag()]
	switch code.Tag() {
	case types.ErrorCodeHttpRequestDenied:
		return Raise(Denied, "it is not granted (grants.http in the manifest)")
	case types.ErrorCodeDestinationIpProhibited:
		return Raise(Denied, "the name leads to an address that is not everybody's")
	case types.ErrorCodeDnsTimeout, types.ErrorCodeConnectionTimeout, types.ErrorCodeConnectionReadTimeout,
		types.ErrorCodeConnectionWriteTimeout, types.ErrorCodeHttpResponseTimeout:
		return Raise(TimedOut, word)
	case types.ErrorCodeHttpRequestBodySize, types.ErrorCodeHttpResponseBodySize:
		return Raise(Limited, "more than the handler may send or get (limits.http_bytes): "+word)
	case types.ErrorCodeHttpRequestMethodInvalid, types.ErrorCodeHttpRequestUriInvalid,
		types.ErrorCodeHttpRequestUriTooLong, types.ErrorCodeHttpRequestHeaderSectionSize,
		types.ErrorCodeHttpRequestTrailerSectionSize:
		return Raise(Invalid, word)
	case types.ErrorCodeInternalError:
		if text := code.InternalError(); text.IsSome() {
			return Raise(Limited, text.Some())
		}
	}
	return Raise(Unavailable, word)
}
