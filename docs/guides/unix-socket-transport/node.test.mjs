import { describe, test } from 'node:test'
import { compliance } from './compliance.mjs'

compliance({ describe, test })
