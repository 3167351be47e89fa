import { describe, test } from '@jest/globals'
import { compliance } from './compliance.mjs'

compliance({ describe, test })
