// For programs: files between nodes
export { sendFile, type SendFileOptions, type SentFile, type FileSendProgress } from './file/send-file.js'
export {
  receiveFiles,
  type ReceiveFilesOptions,
  type FileReceiver,
  type FileReceiveProgress,
  type ReceivedFile,
} from './file/receive-files.js'
export { FILE_PROTOCOL } from './file/file-protocol.js'
export type { FileReceiverCoreOptions } from './file/file-receiver-core.js'
export type { FileSenderCoreOptions } from './file/file-sender-core.js'
export { FileError, type FileErrorCode, CommandError, type CommandErrorCode } from './errors.js'

// The aiv command
export { main } from './cli/main.js'
export { run } from './cli/run.js'
export type { Io, TextSink } from './cli/io.js'
