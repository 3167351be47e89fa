import { AivError } from '@aiv/transport-api'

/** What goes wrong in the program around a node: its folder, its key, its socket, its arguments. */
export type CommandErrorCode =
  | 'USAGE' // the command line is wrong
  | 'DATA_DIR_LOCKED' // another process uses the data folder
  | 'DATA_DIR_UNUSABLE' // cannot be made, read or written
  | 'LOCAL_SOCKET' // the running node cannot be asked
  | 'ADDRESS_UNKNOWN' // a bare node id, and nobody knows where it is
  | 'INPUT_UNREADABLE' // a file or the standard input cannot be read
  | 'INPUT_TOO_LARGE'
  | 'INTERRUPTED' // SIGINT or SIGTERM before the work was done
  | 'DEMO_FAILED' // the main job did not end as it should
  | 'INTERNAL' // a bug of ours

/** An error of the command line; `hint` is what a person can do about it. */
export class CommandError extends AivError<CommandErrorCode> {
  readonly hint: string | undefined

  constructor(code: CommandErrorCode, message: string, options?: ErrorOptions & { readonly hint?: string }) {
    super(code, message, options)
    this.hint = options?.hint
  }
}

/** What the transfer of a file ends in when the file does not arrive. */
export type FileErrorCode =
  | 'FILE_MALFORMED' // bytes that are no message of the file protocol
  | 'FILE_REFUSED' // the receiver does not want it
  | 'FILE_TOO_LARGE' // more than the receiver takes
  | 'FILE_BUSY' // the receiver has as many transfers as it takes
  | 'FILE_NO_SPACE' // its disk is too full
  | 'FILE_DISK' // its disk failed, or ours did
  | 'FILE_HASH_MISMATCH' // all bytes are there and they are not the file that was offered
  | 'FILE_UNKNOWN' // the receiver knows of no such transfer, any more
  | 'FILE_SUPERSEDED' // the same file was offered again by somebody with our key
  | 'FILE_STALLED' // no progress in several attempts
  | 'FILE_CHANGED' // our file changed while it was sent
  | 'FILE_ABORTED' // given up by its sender, or nothing came for too long

/** A file did not arrive; what had arrived is kept, and the next attempt goes on from there. */
export class FileError extends AivError<FileErrorCode> {}
