"""The embedded registry: read-only, standard library, blobs by sendfile.

`server.serve(catalog)` answers the pull, discovery and referrers part of the OCI
distribution-spec 1.1. A `catalog` says what is served: `store_catalog` the embedded store,
`bundle_catalog` a bundle that was verified and admitted.
"""
