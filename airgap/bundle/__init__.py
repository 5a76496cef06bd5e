"""HOW it travels: the bundle format, read as hostile.

| File             | Idea                                                                         |
| ---------------- | ---------------------------------------------------------------------------- |
| `medium.py`      | the file, read and written at positions                                      |
| `tar.py`         | canonical ustar: one spelling, and a reader that accepts no other            |
| `inventory.py`   | what the bundle says it contains; `item.py`, `fields.py`, `rules.py` are parts of it |
| `trust_files.py` | the frozen TUF repository, as bytes                                          |
| `head.py`        | the documents that are made from inventory and TUF files                     |
| `arrangement.py` | what belongs to head and body, in which order                                |
| `layout.py`      | at which byte everything stands                                              |
| `writer.py`      | blobs into their places, the head last                                       |
| `rewriting.py`   | a new head before a body that does not move, by way of `head_journal.py`      |
| `opening.py`, `survey.py`, `hashing.py` | the three stages of reading                           |
| `reader.py`      | `open_bundle` and `Bundle`, which go through them                            |
| `limits.py`      | how much is ever read at once                                                |

Reason codes of this package (those of `oci/` come on top):

| Code                        | Class       | Meaning                                              |
| --------------------------- | ----------- | ---------------------------------------------------- |
| bundle-not-found            | NotFound    | no such file                                         |
| bundle-not-a-file           | Usage       | a link, folder, FIFO or device                       |
| bundle-unreadable           | Store       | the system does not let the file be read             |
| bundle-unwritable           | Store       | the disk is full, or does not let it be written      |
| bundle-truncated            | Format      | the file ends where the bundle goes on               |
| bundle-trailing-bytes       | Format      | the file goes on where the bundle ends               |
| bundle-changed              | Format      | the file's length changed while it was read          |
| tar-header-not-canonical    | Format      | a header (or end) that the writer would not write    |
| tar-padding-not-zero        | Format      | something in the padding after a member              |
| tar-pad-not-canonical       | Format      | a pad that the writer would not write                |
| member-out-of-order         | Format      | a good header of another member: moved, twice, missing, extra |
| member-size-mismatch        | Format      | a good header with another size                      |
| member-too-large            | Format      | a document above its limit                           |
| layout-not-as-generated     | Format      | another ``oci-layout``                               |
| index-not-as-generated      | Format      | another ``index.json``                               |
| manifest-not-as-generated   | Format      | another bundle manifest                              |
| trust-too-large             | Format      | TUF files and targets above their limit              |
| target-path-invalid         | Format      | a target's path that is not plain                    |
| frozen-mismatch             | Format      | ``frozen`` and the targets below ``trust/`` differ   |
| inventory-too-large         | Format      | an inventory above its limit                         |
| inventory-not-canonical     | Format      | not RFC 8785                                         |
| inventory-not-sorted        | Format      | a list out of order, or with something twice         |
| inventory-inconsistent      | Format      | fields that contradict each other                    |
| name-not-normalised         | Format      | a source or name that is not spelled in full         |
| name-reserved               | Format      | a ``sha256-…`` tag as a name                         |
| time-impossible             | Format      | the 30th of February                                 |
| item-kind-mismatch          | Format      | kind, media type, children or manifest disagree      |
| body-at-invalid             | Format      | the body does not start where it may                 |
| content-mismatch            | Format      | inventory and body differ in number, bytes or start  |
| omitted-unknown             | Format      | an omitted blob that is no blob of the body          |
| referrer-subject-unknown    | Format      | a referrer of something that is not in the bundle    |
| referrer-subject-mismatch   | Format      | a referrer whose manifest names another subject      |
| format-unsupported          | UnsupportedVersion | a format of a later release                   |
| feature-unsupported         | UnsupportedVersion | a feature of a later release                  |
| blob-digest-mismatch        | Integrity   | bytes that do not have their digest                  |
| no-room-for-signature       | Usage       | the head would reach into the body                   |
| sign-journal-damaged        | Store       | the journal of a new head is not what was written     |
| journal-of-other-bundle     | Usage       | the journal beside a bundle is not its own           |
| blob-not-placed             | Store       | finishing with blobs that are not there yet          |
| blob-not-found, blob-omitted, name-not-found | NotFound | asked for, and not in the bundle       |

Shared with `oci/`: field-invalid, field-missing, field-unknown, manifest-too-large,
descriptor-size-mismatch, digest-invalid, json-*.
"""  # noqa: E501 - tables are read across
