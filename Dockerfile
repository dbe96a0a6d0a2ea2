# Tagboat as one static binary in an image without a shell.
#
#   docker build --build-arg VERSION=1.4.0 --tag registry.example.com/platform/tagboat:1.4.0 .

FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
WORKDIR /src

# Modules come first: they change less often than the code.
COPY go.mod go.sum ./
RUN go mod download

COPY . .
ARG VERSION=dev
ARG TARGETOS
ARG TARGETARCH
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /out/tagboat ./cmd/tagboat

# distroless/static: CA certificates, time zones (promotion windows need them)
# and a user; no shell, no libc, no package manager.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/tagboat /tagboat
# By number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 65532:65532
# The default, 127.0.0.1, cannot be reached from outside a container.
ENV TAGBOAT_LISTEN=:8080
EXPOSE 8080
ENTRYPOINT ["/tagboat"]
CMD ["serve"]
